#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

/// One node of a graph: an operator of the model, or an input of it.
struct PipedreamNode {
  std::int64_t line = 0;
  std::string id;    ///< "node12"
  std::string what;  ///< "Conv2d(3, 64, ...)"
  Duration forward{}, backward{};
  Bytes activation = 0;  ///< Its output; of several tensors their sum.
  Bytes parameters = 0;
  std::vector<std::size_t> readers;  ///< Places of the nodes that take its output, each once.

  /// Its time is that of reading data, not of computing.
  [[nodiscard]] bool input() const;
};

/// A model as PipeDream (Narayanan et al., SOSP 2019) profiled it: graph.txt of
/// github.com/msr-fiddle/pipedream. Lines are
///
///     node12 -- Conv2d(...) -- forward_compute_time=10.814, backward_compute_time=18.335,
///         activation_size=411041792.000, parameter_size=1180672.000     (on one line; ms and
/// bytes)
///     <TAB>node12 -- node13
///
/// in any order; an activation_size may be a list, `[a; b; c]`. Returns the nodes in an order in
/// which each comes after those whose outputs it takes, earlier numbers first. Throws Error
/// `line N: what` without a path: on a line that is neither, a number that is none, negative or too
/// large, a node that comes twice or is not there, and a circle.
std::vector<PipedreamNode> parse_pipedream(std::string_view text);

}  // namespace shardlab
