#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace shardlab {

enum class Architecture : std::uint8_t {
  kMlp,
  kGpt,
  kBert,
  kVit,
  kImported,  ///< Known by its costs alone: it can be simulated, not trained.
};

/// What matrix products are computed in; parameters, state and what crosses a boundary are fp32.
enum class Precision : std::uint8_t {
  kFp32,
  kBf16,  ///< By LibTorch's autocast.
  kTf32,  ///< Of imported models alone, as the next.
  kFp16,
};

/// What a model is made of; models/ turns it into a chain of layers.
struct ModelSpec {
  Architecture architecture = Architecture::kGpt;
  int layers = 0;      ///< Blocks between the embedding and the head.
  int width = 0;       ///< Hidden size.
  int heads = 1;       ///< Attention heads; 1 for an mlp. Divides width.
  int context = 0;     ///< Tokens per sequence: bytes of text, or patches of an image.
  double dropout = 0;  ///< Probability, in [0, 1).
  Precision precision = Precision::kFp32;
  std::string imported = {};  ///< Name of an imported model, which has nothing of the above.
  bool batch_norm = false;    ///< In each block of an mlp. A microbatch then has two sequences.
  int feed_forward = 0;       ///< As usual_or() says; of transformers.

  auto operator<=>(const ModelSpec&) const = default;
};

/// Images of a vit, as CIFAR-10 has them: of so many pixels a side, in three colours.
inline constexpr int kImageSide = 32;
inline constexpr int kImageClasses = 10;
inline constexpr std::int64_t kImageNumbers = std::int64_t{3} * kImageSide * kImageSide;

/// Pixels on a side of a patch, so that `context` of them make an image; 0 where none do.
constexpr int patch_side(int context) {
  for (int side = 1; side <= kImageSide; side *= 2) {
    if (context == (kImageSide / side) * (kImageSide / side)) return side;
  }
  return 0;
}

/// How files say batch_norm: `norm = "batch"`.
inline constexpr std::string_view kBatchNorm = "batch";

/// Width between the two feed-forward layers of a transformer's block.
constexpr std::int64_t feed_forward_width(const ModelSpec& spec) {
  return spec.feed_forward > 0 ? spec.feed_forward : std::int64_t{4} * spec.width;
}
/// What ModelSpec::feed_forward is for that width: 0 for four times the model's, so that models
/// that are alike are equal.
constexpr int usual_or(int feed_forward, const ModelSpec& spec) {
  return feed_forward == std::int64_t{4} * spec.width ? 0 : feed_forward;
}

/// Integers that a sequence brings: token ids, or an image's numbers.
constexpr std::int64_t inputs_per_sequence(const ModelSpec& spec) {
  return spec.architecture == Architecture::kVit ? kImageNumbers : spec.context;
}

enum class OptimizerKind : std::uint8_t { kSgd, kAdamW };

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double learning_rate = 1e-3;
  double momentum = 0.9;  ///< SGD only.
  double weight_decay =
      0.0;  ///< Decoupled for AdamW, added to the gradient for SGD, as in torch::optim.

  auto operator<=>(const OptimizerSpec&) const = default;
};

/// Bytes of optimizer state per byte of parameters: SGD keeps a momentum, AdamW two moments.
constexpr int state_factor(OptimizerKind kind) { return kind == OptimizerKind::kAdamW ? 2 : 1; }

std::string to_string(Architecture architecture);          ///< "mlp", "gpt", "bert", "vit", ...
std::string to_string(OptimizerKind kind);                 ///< "sgd", "adamw"
std::string to_string(Precision precision);                ///< "fp32", "bf16", "tf32", "fp16"
Architecture parse_architecture(const std::string& name);  ///< Of those that can be trained.
/// "imported:resnet" and the like: how workloads and profiles name a model that is imported.
inline constexpr std::string_view kImportedPrefix = "imported:";
OptimizerKind parse_optimizer(const std::string& name);
Precision parse_precision(const std::string& name);  ///< Of models that can be trained.
Precision parse_any_precision(const std::string& name);

/// "gpt 6x256, 4 heads, context 128": for tables and messages.
std::string describe(const ModelSpec& model);

}  // namespace shardlab
