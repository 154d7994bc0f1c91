#include "models/validate.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

void at_least_one(const char* field, int value) {
  if (value < 1) throw Error(fmt::format("{} is {}, must be at least 1", field, value));
}

}  // namespace

void validate(const ModelSpec& spec) {
  if (spec.architecture == Architecture::kImported) {
    throw Error(describe(spec) + " has costs, but nothing to train; simulate and sweep take it");
  }
  at_least_one("layers", spec.layers);
  at_least_one("width", spec.width);
  at_least_one("heads", spec.heads);
  at_least_one("context", spec.context);
  if (spec.architecture == Architecture::kVit && patch_side(spec.context) == 0) {
    throw Error(fmt::format("context is {}, but images make 1, 4, 16, 64, 256 or 1024 patches",
                            spec.context));
  }
  if (!(spec.dropout >= 0 && spec.dropout < 1)) {
    throw Error(fmt::format("dropout is {}, must be at least 0 and below 1", spec.dropout));
  }
  if (spec.batch_norm && spec.architecture != Architecture::kMlp) {
    throw Error(fmt::format("a {} has layer norms; only an mlp takes norm = \"{}\"",
                            to_string(spec.architecture), kBatchNorm));
  }
  if (spec.feed_forward < 0 || (spec.feed_forward > 0 && spec.architecture == Architecture::kMlp)) {
    throw Error(fmt::format("feed_forward is {}; it must be at least 1, and an mlp has none",
                            spec.feed_forward));
  }
  if (spec.architecture == Architecture::kMlp) {
    if (spec.heads != 1)
      throw Error(
          fmt::format("heads is {}, but an mlp has no attention: leave it out", spec.heads));
  } else if (spec.width % spec.heads != 0) {
    throw Error(fmt::format("width {} is not a multiple of heads {}", spec.width, spec.heads));
  }
}

}  // namespace shardlab
