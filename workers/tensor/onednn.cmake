# The executor on oneDNN. Its kernels are built once for each level of the processor that pays.
find_package(dnnl REQUIRED)
find_package(OpenMP REQUIRED)

set(tensor_levels base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND tensor_levels v3 v4)
endif()
foreach(level ${tensor_levels})
  add_library(tensor_kernels_${level} OBJECT onednn_kernels_isa.cpp)
  target_include_directories(tensor_kernels_${level} PRIVATE ${CMAKE_SOURCE_DIR}/workers)
  target_compile_definitions(tensor_kernels_${level} PRIVATE
    INGLE_LEVEL=kernels_${level} INGLE_LEVEL_NAME="${level}")
  target_compile_options(tensor_kernels_${level} PRIVATE
    -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math
    -Wno-psabi)  # vectors are returned by inlined functions alone
  if(NOT level STREQUAL base)
    target_compile_options(tensor_kernels_${level} PRIVATE
      -march=x86-64-${level} -mprefer-vector-width=512)
  endif()
  list(APPEND tensor_kernel_objects $<TARGET_OBJECTS:tensor_kernels_${level}>)
endforeach()

ingle_worker_room(tensor_onednn
  SOURCES onednn.cpp onednn_plan.cpp onednn_place.cpp onednn_view.cpp onednn_memory.cpp
          onednn_kernels.cpp onednn_rows.cpp onednn_places.cpp onednn_weights.cpp onednn_packing.cpp
          onednn_product.cpp onednn_products.cpp onednn_int8.cpp onednn_stored.cpp
          onednn_attention.cpp onednn_blocked_attention.cpp ${tensor_kernel_objects}
  DEPS tensor OpenMP::OpenMP_CXX DNNL::dnnl)
ingle_room_test(tensor_onednn SOURCES onednn_test.cpp onednn_weights_test.cpp DEPS tensor_reference)

if(INGLE_BENCH)
  add_executable(onednn_bench onednn_bench.cpp)
  target_link_libraries(onednn_bench PRIVATE tensor_onednn)
endif()
