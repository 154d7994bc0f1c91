#include "fit/byte_fit.h"

#include <algorithm>
#include <cmath>

namespace shardlab {
namespace {

const LayerCost& typical_layer(const ModelProfile& model, LayerKind kind) {
  const int blocks = model.model.layers;
  const int at = kind == LayerKind::kEmbedding ? 0
                 : kind == LayerKind::kHead    ? blocks + 1
                                               : (blocks + 1) / 2;
  return model.layers[static_cast<std::size_t>(at)];
}

Bytes round_up(double bytes) { return static_cast<Bytes>(std::ceil(std::max(0.0, bytes))); }

}  // namespace

ByteFit::ByteFit(std::span<const ModelProfile* const> measured, const std::vector<Anchor>& anchors,
                 const Shape& shape)
    : shape_(shape), near_(anchors.back().model) {
  if (!same_size(near_->model, shape.model)) return;
  const auto distance = [&](const ModelProfile* each) {
    return std::abs(std::log(static_cast<double>(each->batch) / shape.batch));
  };
  for (const ModelProfile* each : measured) {
    const bool other = each->batch != near_->batch && alike(*each, shape);
    if (!other || !same_size(each->model, shape.model)) continue;
    if (far_ == nullptr || distance(each) < distance(far_)) far_ = each;
  }
}

void ByteFit::set_bytes(LayerKind kind, LayerCost& layer) const {
  layer.parameters = parameter_bytes(shape_.model, kind);
  layer.state = layer.parameters * state_factor(shape_.optimizer);
  layer.output = output_bytes(shape_, kind);
  for (Bytes LayerCost::*member :
       {&LayerCost::forward_workspace, &LayerCost::saved, &LayerCost::backward_workspace}) {
    // A line through a value that was cut off at 0 is too flat.
    const bool cut_off =
        far_ != nullptr && typical_layer(*far_, kind).*member == 0 && shape_.batch > near_->batch;
    layer.*member = far_ != nullptr && !cut_off ? on_line(kind, member) : bound(kind, member);
  }
}

Bytes ByteFit::on_line(LayerKind kind, Bytes LayerCost::*member) const {
  const auto here = static_cast<double>(typical_layer(*near_, kind).*member);
  const auto there = static_cast<double>(typical_layer(*far_, kind).*member);
  const double slope = (there - here) / (far_->batch - near_->batch);
  return round_up(here + slope * (shape_.batch - near_->batch));
}

Bytes ByteFit::bound(LayerKind kind, Bytes LayerCost::*member) const {
  const Shape from = shape_of(*near_);
  const double bytes = static_cast<double>(typical_layer(*near_, kind).*member);
  const auto own = static_cast<double>(parameter_bytes(from.model, kind));
  const double parameters = static_cast<double>(parameter_bytes(shape_.model, kind)) / own;
  const double vectors = shape_.vectors() / from.vectors();
  const double inner = static_cast<double>(feed_forward_width(shape_.model)) /
                       static_cast<double>(feed_forward_width(from.model));
  const double wider = std::max(static_cast<double>(shape_.model.width) / from.model.width, inner);
  // Around embedding and head some of it is as wide as the vocabulary, whatever the model.
  const double activations = vectors * (kind == LayerKind::kBlock ? wider : std::max(1.0, wider));
  double most = bytes * activations;
  const auto consider = [&](double fixed) {
    most = std::max(most, fixed * parameters + (bytes - fixed) * activations);
  };
  if (shape_.model.precision == Precision::kBf16) consider(std::min(bytes, own / 2));
  if (member == &LayerCost::backward_workspace) consider(-own);
  // Beside what grows with the width, a block keeps statistics of norms and of attention.
  if (wider < 1) most += shape_.vectors() * 4.0 * (shape_.model.heads + 4);
  return round_up(most);
}

}  // namespace shardlab
