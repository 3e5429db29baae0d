"""What a dense block's kernels compute, in plain torch: what they are held against."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _shaped(norm):
    scale = norm.weight * torch.rsqrt(norm.variance + norm.eps)
    return scale, norm.bias - norm.mean * scale


def _moments(maps):
    variance, mean = torch.var_mean(maps.to(torch.promote_types(maps.dtype, torch.float32)), 0, correction=0)
    return mean, variance


class PlainOperations:
    """Of any device and precision."""

    def copy(self, source, target, mean, variance):
        target.copy_(source)
        for kept, found in zip((mean, variance), _moments(source), strict=True):
            kept.copy_(found)

    def narrow(self, maps, norm, weight):
        out = F.linear(self.normal(maps, norm), weight)
        return out, *_moments(out)

    def narrow_normal(self, maps, norm, weight, after):
        return self.normal(F.linear(self.normal(maps, norm), weight), after)

    def normal(self, maps, norm):
        scale, shift = _shaped(norm)
        return F.relu(maps * scale + shift).to(maps.dtype)

    def normal_back(self, gradient, maps, norm):
        scale, _ = _shaped(norm)
        back, standard, sums = self._before(gradient, maps, norm)
        one, two = sums / len(maps)
        return (scale * (back - one - standard * two)).to(maps.dtype), sums

    def narrow_back(self, gradient, maps, norm, weight, total):
        scale, _ = _shaped(norm)
        back, _, sums = self._before(gradient @ weight, maps, norm)
        total += scale * back
        return gradient.T @ self.normal(maps, norm), sums

    def pool(self, maps, norm, size):
        images = self.normal(maps, norm).view(*size, -1).permute(0, 3, 1, 2)
        return F.avg_pool2d(images, 2).permute(0, 2, 3, 1).flatten(0, 2)

    def pool_back(self, gradient, maps, norm, size, total):
        n, height, width = size
        images = gradient.view(n, height // 2, width // 2, -1).permute(0, 3, 1, 2)
        wide = F.pad(F.interpolate(images, scale_factor=2) / 4, (0, width % 2, 0, height % 2))
        back, _, sums = self._before(wide.permute(0, 2, 3, 1).flatten(0, 2), maps, norm)
        total.copy_(_shaped(norm)[0] * back)
        return sums

    def settle(self, total, maps, mean, variance, eps, passed):
        over = torch.rsqrt(variance + eps)
        one, two = passed
        return (total - over * (one + (maps - mean) * over * two)).to(total.dtype)

    def _before(self, gradient, maps, norm):
        scale, shift = _shaped(norm)
        standard = (maps - norm.mean) * torch.rsqrt(norm.variance + norm.eps)
        back = torch.where(maps * scale + shift > 0, gradient, 0)
        return back, standard, torch.stack([back.sum(0), (back * standard).sum(0)])
