#include "storage/migrations.h"

#include <array>

namespace ingle::storage {
namespace {

constexpr char k001[] = {
#embed "migrations/001_start.sql"
};

constexpr std::array kMigrations{
    Migration{1, {k001, sizeof(k001)}},
};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace ingle::storage
