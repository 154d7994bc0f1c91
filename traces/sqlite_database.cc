#include "traces/sqlite_database.h"

#include <cstring>

#include <fmt/format.h>
#include <sqlite3.h>

#include "core/error.h"

namespace shardlab {
namespace {

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

}  // namespace

bool SqliteRow::null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t SqliteRow::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteRow::text(int column) const {
  const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void SqliteDatabase::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

SqliteDatabase::SqliteDatabase(sqlite3* database) : database_(database) {}

SqliteDatabase SqliteDatabase::open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  SqliteDatabase database(raw);
  if (code != SQLITE_OK) database.fail();
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

SqliteDatabase SqliteDatabase::from_bytes(std::string_view bytes) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE, nullptr);
  SqliteDatabase database(raw);
  if (code != SQLITE_OK) database.fail();
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  auto* const copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size() + 1));
  if (copy == nullptr) throw Error("no memory for the database");
  std::memcpy(copy, bytes.data(), bytes.size());
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  constexpr unsigned kFlags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY;
  if (sqlite3_deserialize(raw, "main", copy, size, size, kFlags) != SQLITE_OK) database.fail();
  return database;
}

bool SqliteDatabase::has_table(const std::string& name) const {
  bool found = false;
  query(
      "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = '" + name + "'",
      [&](const SqliteRow&) { found = true; });
  return found;
}

bool SqliteDatabase::has_column(const std::string& table, const std::string& column) const {
  bool found = false;
  query("PRAGMA table_info(" + table + ")",
        [&](const SqliteRow& row) { found = found || row.text(1) == column; });
  return found;
}

void SqliteDatabase::query(const std::string& sql,
                           const std::function<void(const SqliteRow&)>& take) const {
  sqlite3_stmt* raw = nullptr;
  const int length = static_cast<int>(sql.size());
  if (sqlite3_prepare_v2(database_.get(), sql.c_str(), length, &raw, nullptr) != SQLITE_OK) fail();
  const Statement statement(raw);
  int code = sqlite3_step(raw);
  for (; code == SQLITE_ROW; code = sqlite3_step(raw)) take(SqliteRow(raw));
  if (code != SQLITE_DONE) fail();
}

void SqliteDatabase::fail() const {
  throw Error(fmt::format("cannot be read as an SQLite database: {}",
                          database_ ? sqlite3_errmsg(database_.get()) : "no memory"));
}

}  // namespace shardlab
