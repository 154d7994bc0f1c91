#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace shardlab {

/// Bad input or a failed call. The text says what is wrong and what to do next; context is added
/// outward: `profile.json: gpt-small: layer 3: forward_ns is negative`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Wrong use of the command line; the process exits with 2 instead of 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Runs `body`; an Error that leaves it gets `where: ` in front.
template <typename Body>
auto in_context(const std::string& where, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    throw Error(where + ": " + error.what());
  }
}

}  // namespace shardlab
