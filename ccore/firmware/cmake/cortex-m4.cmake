# A toolchain file for Cortex-M4 without its FPU.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -mno-unaligned-access")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
