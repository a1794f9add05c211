#include "storage/migrations.h"

#include <array>

namespace ingle::storage {
namespace {

constexpr char k001[] = {
#embed "migrations/001_start.sql"
};
constexpr char k002[] = {
#embed "migrations/002_memory.sql"
};
constexpr char k003[] = {
#embed "migrations/003_jobs.sql"
};
constexpr char k004[] = {
#embed "migrations/004_model_settings.sql"
};

constexpr char k005[] = {
#embed "migrations/005_gallery.sql"
};

constexpr std::array kMigrations{
    Migration{1, {k001, sizeof(k001)}}, Migration{2, {k002, sizeof(k002)}},
    Migration{3, {k003, sizeof(k003)}}, Migration{4, {k004, sizeof(k004)}},
    Migration{5, {k005, sizeof(k005)}},
};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace ingle::storage
