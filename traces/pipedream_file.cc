#include "traces/pipedream_file.h"

#include <algorithm>
#include <map>
#include <queue>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/csv.h"
#include "traces/json_object.h"
#include "traces/value.h"

namespace shardlab {
namespace {

constexpr std::string_view kBetween = " -- ";
constexpr std::string_view kTimes = " -- forward_compute_time=";
constexpr std::size_t kMostNodes = 100'000;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

Bytes bytes(std::string_view number) {
  const double value = finite(csv_number(trimmed(number)), 0);
  if (value > static_cast<double>(kMostInFile)) throw Error(fmt::format("is too large: {}", value));
  return static_cast<Bytes>(value);
}

/// `12.000` or `[12.0; 4.0]`.
Bytes sum_of_bytes(std::string_view field) {
  if (!field.starts_with('[')) return bytes(field);
  if (!field.ends_with(']')) throw Error("a list that is not closed");
  field = field.substr(1, field.size() - 2);
  double sum = 0;
  for (std::size_t at = 0; at <= field.size();) {
    const std::size_t end = std::min(field.find(';', at), field.size());
    sum += static_cast<double>(bytes(field.substr(at, end - at)));
    at = end + 1;
  }
  if (sum > static_cast<double>(kMostInFile)) throw Error(fmt::format("is too large: {}", sum));
  return static_cast<Bytes>(sum);
}

void set_field(PipedreamNode& node, std::string_view key, std::string_view value) {
  const auto time = [&] { return interval(csv_number(value) * 1e-3); };
  if (key == "forward_compute_time") node.forward = time();
  if (key == "backward_compute_time") node.backward = time();
  if (key == "activation_size") node.activation = sum_of_bytes(value);
  if (key == "parameter_size") node.parameters = bytes(value);
}

/// `a=1, b=[1; 2], c=3`; all four must be there.
void set_fields(PipedreamNode& node, std::string_view fields) {
  fields = fields.substr(0, fields.find(kBetween));  // A partitioned graph goes on with its stage.
  std::vector<std::string_view> given;
  for (std::size_t at = 0; at < fields.size();) {
    const std::size_t end = std::min(fields.find(',', at), fields.size());
    const std::string_view field = trimmed(fields.substr(at, end - at));
    const std::string_view key = field.substr(0, field.find('='));
    if (key.size() == field.size()) {
      throw Error(fmt::format("\"{}\" is no KEY=NUMBER", field.substr(0, 60)));
    }
    in_context(std::string(key),
               [&] { set_field(node, key, trimmed(field.substr(key.size() + 1))); });
    given.push_back(key);
    at = end + 1;
  }
  for (const std::string_view key :
       {"forward_compute_time", "backward_compute_time", "activation_size", "parameter_size"}) {
    if (std::ranges::find(given, key) == given.end()) throw Error(std::string(key) + ": missing");
  }
}

class GraphReader {
 public:
  std::vector<PipedreamNode> read(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++line_) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = trimmed(text.substr(at, end - at));
      if (!line.empty()) in_context(fmt::format("line {}", line_), [&] { take(line); });
      at = end + 1;
    }
    if (nodes_.empty()) throw Error("no node in it; lines begin as \"node1 -- Conv2d(...) -- \"");
    link();
    return ordered();
  }

 private:
  struct Edge {
    std::int64_t line = 0;
    std::string from, to;
  };

  void take(std::string_view line) {
    const std::size_t name_end = line.find(kBetween);
    if (name_end == std::string_view::npos) throw Error("is neither a node nor an edge");
    const std::string id(trimmed(line.substr(0, name_end)));
    const std::size_t times = line.rfind(kTimes);
    if (times == std::string_view::npos || times < name_end) {
      edges_.push_back({line_, id, std::string(trimmed(line.substr(name_end + kBetween.size())))});
      return;
    }
    if (nodes_.size() == kMostNodes) throw Error(fmt::format("more than {} nodes", kMostNodes));
    if (!place_.emplace(id, nodes_.size()).second) throw Error(id + " is there twice");
    PipedreamNode node{line_, plain_text(id), {}, {}, {}, 0, 0, {}};
    const std::size_t begin = std::min(name_end + kBetween.size(), times);
    node.what = plain_text(trimmed(line.substr(begin, times - begin)));
    in_context(id, [&] { set_fields(node, line.substr(times + kBetween.size())); });
    nodes_.push_back(std::move(node));
  }

  std::size_t place(const Edge& edge, const std::string& id) const {
    const auto found = place_.find(id);
    if (found != place_.end()) return found->second;
    throw Error(fmt::format("line {}: no node is called \"{}\"", edge.line, id.substr(0, 60)));
  }

  void link() {
    taken_.resize(nodes_.size());
    for (const Edge& edge : edges_) {
      const std::size_t to = place(edge, edge.to);
      auto& readers = nodes_[place(edge, edge.from)].readers;
      if (std::ranges::find(readers, to) != readers.end()) continue;
      readers.push_back(to);
      ++taken_[to];
    }
  }

  /// Kahn's algorithm. "node9" comes before "node10".
  std::vector<PipedreamNode> ordered() {
    const auto later = [&](std::size_t a, std::size_t b) { return key(a) > key(b); };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> ready(later);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (taken_[i] == 0) ready.push(i);
    }
    std::vector<std::size_t> order, rank(nodes_.size());
    while (!ready.empty()) {
      const std::size_t node = ready.top();
      ready.pop();
      rank[node] = order.size();
      order.push_back(node);
      for (const std::size_t reader : nodes_[node].readers) {
        if (--taken_[reader] == 0) ready.push(reader);
      }
    }
    if (order.size() < nodes_.size()) throw Error("its edges go round in a circle");
    std::vector<PipedreamNode> sorted;
    for (const std::size_t node : order) {
      for (std::size_t& reader : nodes_[node].readers) reader = rank[reader];
      sorted.push_back(std::move(nodes_[node]));
    }
    return sorted;
  }

  [[nodiscard]] std::pair<std::size_t, std::string_view> key(std::size_t node) const {
    return {nodes_[node].id.size(), nodes_[node].id};
  }

  std::int64_t line_ = 1;
  std::vector<PipedreamNode> nodes_;
  std::vector<Edge> edges_;
  std::map<std::string, std::size_t> place_;
  std::vector<std::size_t> taken_;  ///< How many nodes' outputs each takes.
};

}  // namespace

bool PipedreamNode::input() const {
  return what.starts_with("Input") && what.find_first_not_of("0123456789", 5) == std::string::npos;
}

std::vector<PipedreamNode> parse_pipedream(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return GraphReader().read(text);
}

}  // namespace shardlab
