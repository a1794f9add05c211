"""Muon: wide matrices step along the orthogonal part of their momentum. Both trainings use it."""
import torch


def orthogonal(m):
    """Newton-Schulz: the orthogonal part of a matrix, roughly (singular values in 0.7 to 1.2)."""
    x = m.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.t()
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.t() if tall else x).float()


class Muon(torch.optim.Optimizer):

    def __init__(self, params, rate):
        super().__init__(params, {"lr": rate, "momentum": 0.95, "decay": 0.02})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                held = self.state[p].setdefault("momentum", torch.zeros_like(p))
                held.lerp_(p.grad, 1 - group["momentum"])
                wanted = p.grad.lerp(held, group["momentum"]).flatten(1)  # a kernel is a matrix too
                # Joined matrices (query, key and value; gate and up) turn each for itself.
                parts = 3 if p.shape[
                    0] == 3 * p.shape[1] else 2 if p.shape[0] > 3 * p.shape[1] else 1
                turned = torch.cat([orthogonal(part) for part in wanted.chunk(parts)])
                p.mul_(1 - group["lr"] * group["decay"])
                tall = max(1, turned.shape[0] / parts / turned.shape[1])**0.5
                p.add_(turned.view_as(p), alpha=-group["lr"] * tall)
