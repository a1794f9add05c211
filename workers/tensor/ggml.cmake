# The executor on ggml, and the tests that compare all executors with the reference.
find_package(ggml REQUIRED)
ingle_worker_room(tensor_ggml
  SOURCES ggml_executor.cpp ggml_device.cpp ggml_weights.cpp ggml_builder.cpp
          ggml_builder_shapes.cpp ggml_builder_layers.cpp ggml_builder_attention.cpp
  DEPS tensor ggml::ggml)

if(INGLE_TESTS)
  find_package(GTest REQUIRED)
  add_executable(tensor_ops_test ops_test.cpp ops_cases.cpp)
  target_link_libraries(tensor_ops_test PRIVATE tensor_ggml tensor_reference testing GTest::gtest
                                                GTest::gtest_main)
  add_test(NAME tensor_ops COMMAND tensor_ops_test --gtest_filter=-*Vulkan*)
  set_tests_properties(tensor_ops PROPERTIES TIMEOUT 300)
endif()
