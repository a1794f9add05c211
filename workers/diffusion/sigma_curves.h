// Curves of sigmas from the largest to the smallest, apart from any model. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ingle::diffusion {

// `steps` sigmas from `high` down to `low`, both included; one step is `high` alone.
std::vector<double> karras_sigmas(double low, double high, std::int64_t steps);
std::vector<double> exponential_sigmas(double low, double high, std::int64_t steps);
std::vector<double> beta_sigmas(double low, double high, std::int64_t steps);
// A table's levels, spread over more or fewer steps, evenly in log sigma.
std::vector<double> ays_sigmas(bool sdxl, std::int64_t steps);

// Evenly from first to last, both included.
std::vector<double> linspace(double first, double last, std::int64_t count);

// x with I_x(a, b) = p, the quantile of the Beta distribution; p from 0 to 1.
double beta_quantile(double p, double a, double b);

// Where log(sigma) lies in a rising table of log sigmas, as a fractional index.
double index_of_sigma(double sigma, std::span<const double> log_sigmas);

}  // namespace ingle::diffusion
