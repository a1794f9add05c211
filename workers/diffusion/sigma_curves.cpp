#include "diffusion/sigma_curves.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ingle::diffusion {
namespace {

// Sabour, Fidler, Kreis: Align Your Steps (2024), the levels of 10 steps.
constexpr std::array kAysSd = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396,
                               0.963,  0.652, 0.399, 0.152, 0.029};
constexpr std::array kAysSdxl = {14.615, 6.315, 3.771, 2.181, 1.342, 0.862,
                                 0.555,  0.380, 0.234, 0.113, 0.029};

// The continued fraction of the incomplete beta function, by Lentz's method.
double beta_fraction(double x, double a, double b) {
  constexpr double tiny = 1e-300;
  double c = 1;
  double d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < tiny) d = tiny;
  d = 1 / d;
  double out = d;
  for (int m = 1; m <= 300; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    for (const double term : {even, odd}) {
      d = 1 + term * d;
      c = 1 + term / c;
      if (std::abs(d) < tiny) d = tiny;
      if (std::abs(c) < tiny) c = tiny;
      d = 1 / d;
      out *= d * c;
    }
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return out;
}

// I_x(a, b).
double beta_regularised(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // The fraction converges quickly on this side only.
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
  return 1 - front * beta_fraction(1 - x, b, a) / b;
}

}  // namespace

std::vector<double> linspace(double first, double last, std::int64_t count) {
  std::vector<double> out(static_cast<std::size_t>(count), first);
  if (count < 2) return out;
  const double step = (last - first) / static_cast<double>(count - 1);
  for (std::int64_t i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = first + step * static_cast<double>(i);
  out.back() = last;
  return out;
}

std::vector<double> karras_sigmas(double low, double high, std::int64_t steps) {
  constexpr double rho = 7;
  auto out = linspace(std::pow(high, 1 / rho), std::pow(low, 1 / rho), steps);
  for (double& sigma : out) sigma = std::pow(sigma, rho);
  return out;
}

std::vector<double> exponential_sigmas(double low, double high, std::int64_t steps) {
  auto out = linspace(std::log(high), std::log(low), steps);
  for (double& sigma : out) sigma = std::exp(sigma);
  return out;
}

std::vector<double> beta_sigmas(double low, double high, std::int64_t steps) {
  auto out = linspace(1, 0, steps);
  for (double& sigma : out) sigma = low + beta_quantile(sigma, 0.6, 0.6) * (high - low);
  return out;
}

std::vector<double> ays_sigmas(bool sdxl, std::int64_t steps) {
  const auto& table = sdxl ? kAysSdxl : kAysSd;
  // The table's last level is where the step to the clean picture starts from being 0: one more.
  auto out = linspace(0, static_cast<double>(table.size() - 1), steps + 1);
  out.pop_back();
  for (double& place : out) {
    const auto below = std::min(static_cast<std::size_t>(place), table.size() - 2);
    const double share = place - static_cast<double>(below);
    place = std::exp((1 - share) * std::log(table[below]) + share * std::log(table[below + 1]));
  }
  return out;
}

double beta_quantile(double p, double a, double b) {
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (beta_regularised(middle, a, b) < p ? low : high) = middle;
  }
  return p <= 0 ? 0 : p >= 1 ? 1 : (low + high) / 2;
}

double index_of_sigma(double sigma, std::span<const double> log_sigmas) {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(log_sigmas.begin(), log_sigmas.end(), log_sigma);
  const auto count = static_cast<std::ptrdiff_t>(log_sigmas.size());
  const auto low = std::clamp<std::ptrdiff_t>(above - log_sigmas.begin() - 1, 0, count - 2);
  const double first = log_sigmas[static_cast<std::size_t>(low)];
  const double second = log_sigmas[static_cast<std::size_t>(low) + 1];
  const double share = std::clamp((log_sigma - first) / (second - first), 0.0, 1.0);
  return static_cast<double>(low) + share;
}

}  // namespace ingle::diffusion
