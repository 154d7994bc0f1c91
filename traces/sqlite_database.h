#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace shardlab {

/// One row of a query; valid while it is looked at.
class SqliteRow {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] bool null(int column) const;
  /// 0 where it is null; of a text what SQLite makes of it.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// A database of others, read only: nothing it holds is run, neither views nor triggers.
class SqliteDatabase {
 public:
  /// A file. Throws Error without the path when it cannot be opened.
  static SqliteDatabase open(const std::string& path);
  /// A database in memory; `bytes` are copied.
  static SqliteDatabase from_bytes(std::string_view bytes);

  /// A table of that name is there: no view, no virtual table. Throws Error where the file is no
  /// database.
  [[nodiscard]] bool has_table(const std::string& name) const;
  [[nodiscard]] bool has_column(const std::string& table, const std::string& column) const;
  /// Calls `take` for every row. Throws Error with SQLite's reason.
  void query(const std::string& sql, const std::function<void(const SqliteRow&)>& take) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit SqliteDatabase(sqlite3* database);
  [[noreturn]] void fail() const;

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace shardlab
