# The executor on ggml, and the tests that compare all executors with the reference.
find_package(ggml REQUIRED)
ingle_worker_room(tensor_ggml
  SOURCES ggml_executor.cpp ggml_device.cpp ggml_weights.cpp ggml_builder.cpp
          ggml_builder_shapes.cpp ggml_builder_layers.cpp ggml_builder_attention.cpp
  DEPS tensor ggml::ggml)

ingle_room_test(tensor_ggml SOURCES ggml_test.cpp DEPS tensor_reference)

if(INGLE_TESTS)
  find_package(GTest REQUIRED)
  add_executable(tensor_ops_test ops_test.cpp ops_cases.cpp)
  target_link_libraries(tensor_ops_test PRIVATE tensor_ggml tensor_onednn tensor_reference testing GTest::gtest
                                                GTest::gtest_main)
  add_test(NAME tensor_ops COMMAND tensor_ops_test --gtest_filter=-*Vulkan*)
  set_tests_properties(tensor_ops PROPERTIES TIMEOUT 300)
  # Vulkan in software. Its backend lies outside ggml's own folder, so that nothing takes it by
  # itself, and it takes no device of this kind that is not asked for.
  target_compile_definitions(tensor_ops_test PRIVATE
    INGLE_GGML_VULKAN="/usr/lib/ggml-vulkan/libggml-vulkan.so")
  # The software's matrix units are wrong, so they are left out. Fused attention is compiled anew for
  # each size of a head, which takes many seconds there; so f16 has few cases.
  set(vulkan_F32 *VulkanF32*)
  set(vulkan_F16 *VulkanF16*linear_2__5__33*:*VulkanF16*conv*:*VulkanF16*attention_all_hidden_keys)
  foreach(precision F32 F16)
    add_test(NAME tensor_ops_vulkan_${precision}
      COMMAND tensor_ops_test --gtest_filter=${vulkan_${precision}})
    set_tests_properties(tensor_ops_vulkan_${precision} PROPERTIES TIMEOUT 600
      ENVIRONMENT "GGML_VK_VISIBLE_DEVICES=0;GGML_VK_DISABLE_COOPMAT=1;GGML_VK_DISABLE_F16=1")
  endforeach()
endif()

if(INGLE_BENCH)
  add_executable(executors_bench executors_bench.cpp)
  target_link_libraries(executors_bench PRIVATE tensor_ggml tensor_onednn)
endif()
