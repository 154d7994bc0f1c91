#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace shardlab {

/// One run of a workload under the policy of that number.
struct MeasuredRun {
  std::size_t policy = 0;
  double makespan_s = 0;   ///< Positive.
  double computing_s = 0;  ///< Of all its units, as they ran.
};

/// Runs of one workload, one right after the other: neighbours met the same machine.
using Stretch = std::vector<MeasuredRun>;

/// In which order round `round` of `rounds` runs the policies: rows of a Williams square (Williams
/// 1949, Australian J. Sci. Res. 2, 149), so that none follows the same one in every round. Rows
/// are chosen such that the runs of each policy lie far apart. Requires: a policy, round < rounds.
std::vector<std::size_t> round_order(std::size_t policies, std::size_t round, std::size_t rounds);

/// What a policy took above the best one, as a share of that; 0 for the best. `low` and `high` are
/// of 95 % confidence; without them where there were too few runs.
struct Regret {
  double share = 0;
  std::optional<double> low = std::nullopt, high = std::nullopt;

  /// high - low; infinite without them.
  [[nodiscard]] double width() const;
};

/// What each policy takes on a machine whose speed drifts.
///
/// Papadakis' analysis of covariance (Papadakis 1937; Bartlett 1978, J. R. Stat. Soc. B 40, 147,
/// whose iteration this is): logarithms of makespans are a policy's effect, plus `slope` times how
/// much longer than their own policies' the neighbours of the run in time took, plus noise. The
/// slope is fitted within policies, 0 (no drift) to 1, so a policy that is slow whenever it runs
/// keeps that. What the units of the run computed is no covariate: how long they take depends on
/// how many lanes compute at once, and so on the policy.
class PolicyMakespans {
 public:
  /// Requires: of each policy a run.
  PolicyMakespans(std::size_t policies, const std::vector<Stretch>& stretches);

  /// Per policy, at the mean speed of all runs: geometric means, adjusted and as measured.
  [[nodiscard]] std::vector<double> adjusted_s() const;
  [[nodiscard]] std::vector<double> raw_s() const;
  [[nodiscard]] double slope() const { return slope_; }
  /// Standard deviation of a run's logarithm within its policy: as measured, and what is left.
  [[nodiscard]] double raw_deviation() const { return raw_deviation_; }
  [[nodiscard]] double deviation() const { return deviation_; }

  /// The interval: multiple comparisons with the best (Hsu 1984, Ann. Stat. 12, 1136), by Student's
  /// t with Bonferroni's correction.
  [[nodiscard]] Regret regret(std::size_t policy) const;
  /// The policy that may be further below this one than any other by those intervals; the lowest
  /// effect where there are none. Requires: two policies.
  [[nodiscard]] std::size_t rival(std::size_t policy) const;

 private:
  struct Of {
    double effect = 0, raw = 0;  ///< Logarithms of seconds.
    double covariate = 0;        ///< Mean of its runs.
    double runs = 0;
  };
  void fit(const std::vector<Stretch>& stretches, const std::vector<double>& covariate);
  [[nodiscard]] std::vector<double> covariates(const std::vector<Stretch>& stretches) const;
  [[nodiscard]] double half_width(std::size_t a, std::size_t b) const;

  std::vector<Of> policies_;
  double runs_ = 0, slope_ = 0, deviation_ = 0, raw_deviation_ = 0;
  double within_ = 0;                 ///< Squares of the covariate within policies.
  std::optional<double> quantile_{};  ///< Of Student's t; none without degrees of freedom.
};

}  // namespace shardlab
