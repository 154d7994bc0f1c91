#include "traces/kineto_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <simdjson.h>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/json_events.h"
#include "traces/kineto_number.h"

namespace shardlab {
namespace {

namespace od = simdjson::ondemand;
static_assert(JsonEvents::kPadding >= simdjson::SIMDJSON_PADDING);

/// What an event's category says. Old traces write Kernel, new ones kernel.
struct Category {
  std::string_view name;
  KinetoKind kind;
};
constexpr std::array<Category, 19> kCategories{{{"fwdbwd", KinetoKind::kLink},
                                                {"forward_backward", KinetoKind::kLink},
                                                {"kernel", KinetoKind::kKernel},
                                                {"Kernel", KinetoKind::kKernel},
                                                {"gpu_memcpy", KinetoKind::kCopy},
                                                {"Memcpy", KinetoKind::kCopy},
                                                {"gpu_memset", KinetoKind::kSet},
                                                {"Memset", KinetoKind::kSet},
                                                {"cuda_runtime", KinetoKind::kLaunch},
                                                {"cuda_driver", KinetoKind::kLaunch},
                                                {"hip_runtime", KinetoKind::kLaunch},
                                                {"Runtime", KinetoKind::kLaunch},
                                                {"Driver", KinetoKind::kLaunch},
                                                {"cpu_op", KinetoKind::kOperator},
                                                {"Operator", KinetoKind::kOperator},
                                                {"user_annotation", KinetoKind::kAnnotation},
                                                {"UserAnnotation", KinetoKind::kAnnotation},
                                                {"python_function", KinetoKind::kModule},
                                                {"PythonFunction", KinetoKind::kModule}}};

/// Whose events are counted apart.
constexpr std::size_t kMostCategories = 256;

/// Arguments of events that are read, as sets of bits.
enum Argument : unsigned {
  kCorrelation = 1,
  kBytes = 2,
  kDevice = 4,
  kSequence = 8,
  kFrom = 16,
  kTypes = 32
};

/// Whose inputs tell what matrix products are computed in.
bool is_product(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames{
      "aten::mm",     "aten::addmm",       "aten::bmm",    "aten::baddbmm",
      "aten::matmul", "aten::convolution", "aten::linear", "aten::_scaled_dot_product_attention",
      "aten::conv2d"};
  return std::ranges::find(kNames, name) != kNames.end();
}

template <typename Result>
auto value_of(Result result) {
  if (result.error() != simdjson::SUCCESS) throw UnusableEvent{"they are no valid JSON"};
  return std::move(result).value_unsafe();
}

/// The token of a number or string, without quotes and the space behind it.
std::string_view token(od::value& value) {
  std::string_view text = value.raw_json_token();
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t' ||
                           text.back() == '\r')) {
    text.remove_suffix(1);
  }
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  return text;
}

std::uint64_t hash(std::string_view text) {  // FNV-1a.
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

/// Keys are compared as they stand in the file; none of those wanted has an escape.
template <std::size_t N>
bool is(const od::raw_json_string& key, const char (&name)[N]) {
  return std::memcmp(key.raw(), name, N - 1) == 0 && key.raw()[N - 1] == '"';
}

class EventParser {
 public:
  explicit EventParser(KinetoFacts& facts) : facts_(facts) {}

  /// The event in `text`, or none. What is wrong with it is counted.
  const KinetoEvent* parse(std::string_view text) {
    ++facts_.events;
    try {
      return read(text) ? &event_ : nullptr;
    } catch (const UnusableEvent& unusable) {
      ++facts_.unusable[unusable.why];
    }
    return nullptr;
  }

  od::parser& parser() { return parser_; }

 private:
  bool read(std::string_view text) {
    event_ = {};
    phase_ = '\0';
    category_ = {};
    duration_ = KinetoEvent::kNone;
    timed_ = false;
    document_ = document(text);
    od::object object = value_of(document_.get_object());
    for (auto each : object) {
      od::field field = value_of(std::move(each));
      take(field.key(), field.value());
      if (event_.kind == KinetoKind::kOther && !category_.empty()) break;
    }
    return finish();
  }

  od::document document(std::string_view text) {
    auto result = parser_.iterate(text.data(), text.size(), text.size() + JsonEvents::kPadding);
    if (result.error() == simdjson::UTF8_ERROR) throw UnusableEvent{"their text is not UTF-8"};
    return value_of(std::move(result));
  }

  void take(const od::raw_json_string& key, od::value value) {
    if (is(key, "ph")) {
      const std::string_view phase = token(value);
      phase_ = phase.size() == 1 ? phase.front() : '\0';
    } else if (is(key, "cat")) {
      take_category(token(value));
    } else if (is(key, "name")) {
      // Long, and wanted of few kinds.
      if (event_.kind == KinetoKind::kLaunch) return;
      if (event_.kind == KinetoKind::kKernel) {
        event_.name = token(value);
        return;
      }
      event_.name = value_of(value.get_string());
    } else if (is(key, "pid") || is(key, "tid")) {
      const bool process = key.raw()[0] == 'p';
      const std::string_view text = token(value);
      event_.thread += process ? hash(text) * 31 : hash(text);
      if (process) event_.process = text;
    } else if (is(key, "ts")) {
      event_.start_ns = kineto_nanoseconds(token(value));
      timed_ = true;
    } else if (is(key, "dur")) {
      duration_ = kineto_nanoseconds(token(value));
    } else if (is(key, "id")) {
      if (category_.empty() || event_.kind == KinetoKind::kLink) take_id(token(value));
    } else if (is(key, "args")) {
      take_arguments(value);
    }
  }

  /// Of arrows; other ids may be anything.
  void take_id(std::string_view text) {
    std::int64_t id = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (problem == std::errc{} && end == text.data() + text.size()) event_.sequence = id;
  }

  void take_category(std::string_view category) {
    category_ = category;
    const auto* const found = std::ranges::find(kCategories, category, &Category::name);
    event_.kind = found == kCategories.end() ? KinetoKind::kOther : found->kind;
  }

  void take_arguments(od::value& value) {
    if (!category_.empty() && event_.kind == KinetoKind::kOther) return;
    if (event_.kind == KinetoKind::kAnnotation || event_.kind == KinetoKind::kModule) return;
    od::object object = value_of(value.get_object());
    unsigned wanted = wanted_arguments();
    for (auto each : object) {
      od::field field = value_of(std::move(each));
      wanted &= ~take_argument(field.key(), field.value());
      if (wanted == 0) break;
    }
  }

  /// Of this kind of event: what follows the last of them is passed over. Not known yet: all.
  [[nodiscard]] unsigned wanted_arguments() const {
    switch (event_.kind) {
      case KinetoKind::kLaunch:
        return kCorrelation;
      case KinetoKind::kKernel:
      case KinetoKind::kSet:
        return kCorrelation | kDevice;
      case KinetoKind::kCopy:
        return kCorrelation | kDevice | kBytes;
      case KinetoKind::kOperator:
        return is_product(event_.name) ? kSequence | kFrom | kTypes : kSequence | kFrom;
      default:
        return ~0U;
    }
  }

  /// Which one it is.
  unsigned take_argument(const od::raw_json_string& key, od::value value) {
    if (is(key, "correlation")) {
      event_.correlation = kineto_integer(token(value));
      return kCorrelation;
    }
    if (is(key, "bytes") || is(key, "Bytes")) {
      event_.bytes = kineto_integer(token(value));
      return kBytes;
    }
    if (is(key, "device")) {
      event_.device = kineto_integer(token(value));
      return kDevice;
    }
    if (is(key, "Sequence number")) {
      event_.sequence = kineto_integer(token(value));
      return kSequence;
    }
    if (is(key, "Input type") && is_product(event_.name)) {
      event_.types = value_of(simdjson::to_json_string(value));
      return kTypes;
    }
    if (is(key, "Fwd thread id")) {
      event_.backward = kineto_integer(token(value)) != 0;
      return kFrom;
    }
    return 0;
  }

  bool finish() {
    if (event_.kind == KinetoKind::kLink) return finish_link();
    if (event_.kind == KinetoKind::kOther || phase_ != 'X') {
      count_other(category_.empty() ? "without a category" : category_);
      return false;
    }
    if (!timed_ || duration_ == KinetoEvent::kNone)
      throw UnusableEvent{"they have no ts or no dur"};
    if (duration_ < 0 || duration_ > kMostKinetoTime) {
      throw UnusableEvent{"their duration is negative"};
    }
    event_.end_ns = event_.start_ns + duration_;
    return true;
  }

  /// Arrows come in two events without a duration: s for start, f for finish.
  bool finish_link() {
    if (!timed_ || event_.sequence == KinetoEvent::kNone || (phase_ != 's' && phase_ != 'f')) {
      throw UnusableEvent{"they are no whole arrows"};
    }
    event_.backward = phase_ == 'f';
    event_.end_ns = event_.start_ns;
    return true;
  }

  void count_other(std::string_view category) {
    auto found = facts_.others.find(category);
    if (found == facts_.others.end() && facts_.others.size() >= kMostCategories) {
      found = facts_.others.find(category = "of further categories");
    }
    if (found == facts_.others.end()) found = facts_.others.emplace(category, 0).first;
    ++found->second;
  }

  KinetoFacts& facts_;
  od::parser parser_;
  od::document document_;
  KinetoEvent event_;
  char phase_ = '\0';
  std::string_view category_;
  std::int64_t duration_ = 0;
  bool timed_ = false;
};

/// A member beside the events. What is broken there is passed over: nothing rests on it.
void read_member(od::parser& parser, std::string_view key, std::string_view text,
                 KinetoFacts& facts) {
  if (key != "deviceProperties" && key != "distributedInfo") return;
  auto parsed = parser.iterate(text.data(), text.size(), text.size() + JsonEvents::kPadding);
  if (parsed.error() != simdjson::SUCCESS) return;
  od::document document = std::move(parsed).value_unsafe();
  if (key == "distributedInfo") {
    std::int64_t rank = 0;
    if (document["rank"].get_int64().get(rank) == simdjson::SUCCESS) facts.rank = rank;
    return;
  }
  od::array devices;
  if (document.get_array().get(devices) != simdjson::SUCCESS) return;
  for (auto device : devices) {
    std::int64_t id = 0;
    std::string_view name;
    if (device["id"].get_int64().get(id) != simdjson::SUCCESS) return;
    if (device["name"].get_string().get(name) != simdjson::SUCCESS) return;
    facts.devices.emplace(id, name);
  }
}

}  // namespace

KinetoFacts read_kineto(ByteStream& from, const std::function<void(const KinetoEvent&)>& take) {
  KinetoFacts facts;
  JsonEvents values(from);
  EventParser parser(facts);
  while (values.next()) {
    if (!values.is_event()) {
      read_member(parser.parser(), values.key(), values.text(), facts);
    } else if (const KinetoEvent* event = parser.parse(values.text())) {
      take(*event);
    }
  }
  facts.cut_off = values.cut_off();
  facts.trailing = values.trailing();
  return facts;
}

CopyClass kineto_copy(std::string_view name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string_view::npos; };
  if (has("HtoD")) return {CopyDirection::kHostToDevice, has("Pinned")};
  if (has("DtoH")) return {CopyDirection::kDeviceToHost, has("Pinned")};
  return {has("DtoD") || has("PtoP") ? CopyDirection::kDeviceToDevice : CopyDirection::kOther};
}

}  // namespace shardlab
