// Cards of AMD and Intel, as the kernel's drivers show them under /sys/class/drm.
#pragma once

#include <filesystem>

#include "gpu.h"

namespace ingle::probe {

// Adds what it finds, in the order of the bus. amdgpu tells total and used memory; Intel's xe tells
// the total, i915 nothing. An Intel card on the processor's own bus is integrated.
void find_in_sysfs(const std::filesystem::path& root, Findings& findings);

}  // namespace ingle::probe
