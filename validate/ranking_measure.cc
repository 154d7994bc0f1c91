#include "validate/ranking_measure.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/statistics.h"

namespace shardlab {
namespace {

constexpr int kIterations = 5;  ///< Effects no longer change much by then.

/// Calls `use(run, number among all runs)`.
template <typename Use>
void each_run(const std::vector<Stretch>& stretches, const Use& use) {
  std::size_t number = 0;
  for (const Stretch& stretch : stretches) {
    for (const MeasuredRun& run : stretch) use(run, number++);
  }
}

double ratio(double logarithm) { return std::exp(logarithm) - 1; }

}  // namespace

std::vector<std::size_t> round_order(std::size_t policies, std::size_t round, std::size_t rounds) {
  std::vector<std::size_t> order;
  const std::size_t row = round * policies / rounds;
  for (std::size_t i = 0; i < policies; ++i) {  // 0, 1, n - 1, 2, n - 2, ...
    const std::size_t step = (i + 1) / 2;
    order.push_back((row + (i % 2 == 1 ? step : policies - step)) % policies);
  }
  // Of an odd number, the square and its mirror image are balanced together.
  if (policies % 2 == 1 && round % 2 == 1) std::ranges::reverse(order);
  return order;
}

double Regret::width() const {
  return high.has_value() ? *high - *low : std::numeric_limits<double>::infinity();
}

PolicyMakespans::PolicyMakespans(std::size_t policies, const std::vector<Stretch>& stretches)
    : policies_(policies) {
  each_run(stretches, [this](const MeasuredRun& run, std::size_t) {
    policies_[run.policy].raw += std::log(run.makespan_s);
    ++policies_[run.policy].runs;
    ++runs_;
  });
  for (Of& policy : policies_) policy.raw = policy.effect = policy.raw / policy.runs;
  fit(stretches, std::vector<double>(static_cast<std::size_t>(runs_)));
  raw_deviation_ = deviation_;
  for (int i = 0; i < kIterations; ++i) fit(stretches, covariates(stretches));
  const auto several = static_cast<double>(policies);
  const double degrees = runs_ - several - 1;
  if (degrees < 1 || policies < 2) return;
  quantile_ = student_quantile(1 - 0.025 / (several - 1), degrees);
}

/// How much longer than their policies' effects the neighbours took, in the mean; 0 over all runs.
std::vector<double> PolicyMakespans::covariates(const std::vector<Stretch>& stretches) const {
  std::vector<double> found;
  double sum = 0;
  for (const Stretch& stretch : stretches) {
    const auto longer = [&](std::size_t at) {
      return std::log(stretch[at].makespan_s) - policies_[stretch[at].policy].effect;
    };
    for (std::size_t i = 0; i < stretch.size(); ++i) {
      double neighbours = 0, count = 0;
      if (i > 0) neighbours += longer(i - 1), ++count;
      if (i + 1 < stretch.size()) neighbours += longer(i + 1), ++count;
      sum += found.emplace_back(count == 0 ? 0 : neighbours / count);
    }
  }
  for (double& each : found) each -= sum / runs_;
  return found;
}

void PolicyMakespans::fit(const std::vector<Stretch>& stretches,
                          const std::vector<double>& covariate) {
  for (Of& policy : policies_) policy.covariate = 0;
  each_run(stretches, [&](const MeasuredRun& run, std::size_t at) {
    policies_[run.policy].covariate += covariate[at] / policies_[run.policy].runs;
  });
  double products = 0;
  within_ = 0;
  each_run(stretches, [&](const MeasuredRun& run, std::size_t at) {
    const Of& policy = policies_[run.policy];
    const double apart = covariate[at] - policy.covariate;
    products += apart * (std::log(run.makespan_s) - policy.raw);
    within_ += apart * apart;
  });
  slope_ = within_ > 0 ? std::clamp(products / within_, 0.0, 1.0) : 0;
  for (Of& policy : policies_) policy.effect = policy.raw - slope_ * policy.covariate;
  double squares = 0;
  each_run(stretches, [&](const MeasuredRun& run, std::size_t at) {
    const double left =
        std::log(run.makespan_s) - policies_[run.policy].effect - slope_ * covariate[at];
    squares += left * left;
  });
  const double degrees = runs_ - static_cast<double>(policies_.size()) - 1;
  deviation_ = degrees < 1 ? 0 : std::sqrt(squares / degrees);
}

std::vector<double> PolicyMakespans::adjusted_s() const {
  std::vector<double> found;
  for (const Of& policy : policies_) found.push_back(std::exp(policy.effect));
  return found;
}

std::vector<double> PolicyMakespans::raw_s() const {
  std::vector<double> found;
  for (const Of& policy : policies_) found.push_back(std::exp(policy.raw));
  return found;
}

/// Of the difference of two effects, as for any analysis of covariance.
double PolicyMakespans::half_width(std::size_t a, std::size_t b) const {
  const double apart = policies_[a].covariate - policies_[b].covariate;
  const double by_slope = slope_ > 0 ? apart * apart / within_ : 0;
  return *quantile_ * deviation_ *
         std::sqrt(1 / policies_[a].runs + 1 / policies_[b].runs + by_slope);
}

Regret PolicyMakespans::regret(std::size_t policy) const {
  Regret found;
  const bool known = quantile_.has_value() || policies_.size() == 1;
  if (known) found.low = found.high = 0;
  for (std::size_t p = 0; p < policies_.size(); ++p) {
    if (p == policy) continue;
    const double longer = policies_[policy].effect - policies_[p].effect;
    const double times = std::exp(policies_[policy].effect) / std::exp(policies_[p].effect);
    found.share = std::max(found.share, times - 1);  // To the bit that of adjusted_s().
    if (!known) continue;
    found.low = std::max(*found.low, ratio(longer - half_width(policy, p)));
    found.high = std::max(*found.high, ratio(longer + half_width(policy, p)));
  }
  return found;
}

std::size_t PolicyMakespans::rival(std::size_t policy) const {
  const auto below = [&](std::size_t p) {
    return (quantile_.has_value() ? half_width(policy, p) : 0) - policies_[p].effect;
  };
  std::size_t found = policy == 0 ? 1 : 0;
  for (std::size_t p = 0; p < policies_.size(); ++p) {
    if (p != policy && below(p) > below(found)) found = p;
  }
  return found;
}

}  // namespace shardlab
