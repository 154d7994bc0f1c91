#include "fit/cost_law.h"

#include <algorithm>
#include <vector>

#include <Eigen/Core>

#include "core/quantile.h"
#include "fit/non_negative.h"

namespace shardlab {
namespace {

constexpr double kWeightOfOthers = 0.03;

/// One kind and phase of one measured model.
struct Row {
  LayerKind kind;
  Phase phase;
  LayerWork work;
  double time;  ///< ns.
};

/// Over the layers of a kind; of several blocks without the last, which waits for the loss.
double typical_time(const ModelProfile& model, LayerKind kind, Phase phase) {
  const int blocks = model.model.layers;
  const int first = kind == LayerKind::kEmbedding ? 0 : kind == LayerKind::kBlock ? 1 : blocks + 1;
  const int last = kind == LayerKind::kBlock ? std::max(2, blocks) : first + 1;
  std::vector<Duration> times;
  for (int i = first; i < last; ++i) {
    times.push_back(of(model.layers[static_cast<std::size_t>(i)].alone, phase).median);
  }
  return static_cast<double>(median(std::move(times)).count());
}

std::vector<Row> rows_of(std::span<const ModelProfile* const> measured) {
  std::vector<Row> rows;
  for (const ModelProfile* model : measured) {
    for (const LayerKind kind : kLayerKinds) {
      for (const Phase phase : kPhases) {
        const double time = typical_time(*model, kind, phase);
        if (time > 0) {
          rows.push_back({kind, phase, layer_work(shape_of(*model), kind, phase), time});
        }
      }
    }
  }
  return rows;
}

Rates fit(const std::vector<Row>& rows, LayerKind kind, Phase phase) {
  const auto count = static_cast<Eigen::Index>(rows.size());
  Eigen::MatrixXd a(count, 3);
  Eigen::VectorXd b(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const Row& row = rows[static_cast<std::size_t>(i)];
    const double weight = row.kind == kind && row.phase == phase ? 1 : kWeightOfOthers;
    a.row(i) << row.work.kernels, row.work.flops, row.work.bytes;
    a.row(i) *= weight / row.time;
    b[i] = weight;
  }
  const Eigen::VectorXd found = non_negative_least_squares(a, b);
  return {found[0], found[1], found[2]};
}

}  // namespace

CostLaw::CostLaw(std::span<const ModelProfile* const> measured) {
  const std::vector<Row> rows = rows_of(measured);
  if (rows.empty()) return;
  for (const LayerKind kind : kLayerKinds) {
    for (const Phase phase : kPhases) {
      rates_.at(static_cast<std::size_t>(kind)).at(static_cast<std::size_t>(phase)) =
          fit(rows, kind, phase);
    }
  }
}

const Rates& CostLaw::rates(LayerKind kind, Phase phase) const {
  return rates_.at(static_cast<std::size_t>(kind)).at(static_cast<std::size_t>(phase));
}

}  // namespace shardlab
