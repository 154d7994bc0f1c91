#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

/// Numbers from 0 on, or above 0, whatever their type; what else is given is named.
inline CLI::Validator number_from_zero(bool zero_too, const std::string& what) {
  return {[zero_too, what](std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            const bool above = value > 0 || (zero_too && value == 0);
            if (number && above && std::isfinite(value)) return std::string{};
            return "must be " + what + ", is " + text;
          },
          "", "number"};
}
inline CLI::Validator non_negative() { return number_from_zero(true, "0 or more"); }
inline CLI::Validator positive() { return number_from_zero(false, "more than 0"); }

/// CLI::Range lets NaN pass, which compares with nothing.
inline CLI::Validator number_up_to(double most) {
  return {[most](const std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            if (number && value >= 0 && value <= most) return std::string{};
            return fmt::format("{} is no number from 0 to {:g}", text, most);
          },
          "", "number"};
}

/// Of a path.
inline CLI::Validator not_empty() {
  return {
      [](const std::string& text) { return std::string(text.empty() ? "must not be empty" : ""); },
      "", "path"};
}

/// Refuses what `parse` throws an Error at, in its words.
inline CLI::Validator parsed_by(const std::function<void(const std::string&)>& parse,
                                const std::string& name) {
  return {[parse](const std::string& text) -> std::string {
            try {
              parse(text);
              return "";
            } catch (const Error& error) {
              return error.what();
            }
          },
          "", name};
}

/// What matrix products were computed in; see parse_any_precision().
inline CLI::Validator any_precision() { return CLI::IsMember({"fp32", "tf32", "bf16", "fp16"}); }

/// "10s", "2min" or "1h" as seconds.
inline CLI::AsNumberWithUnit in_seconds() {
  return CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"min", 60}, {"h", 3600}},
                               CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME");
}

}  // namespace shardlab
