#pragma once

#include <span>
#include <string>
#include <string_view>

namespace shardlab {

/// `; did you mean "width"?`, or nothing where no word of `known` is near (edit distance up to a
/// third).
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace shardlab
