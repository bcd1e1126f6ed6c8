// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pressure.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

class PressureTest : public ::testing::Test {
 protected:
  std::optional<Pressure> Read(const std::string& content) {
    EXPECT_OK(WriteFileAtomic(dir_ / "cpu.pressure", content));
    return ReadPressure(CgroupFiles(dir_.path()), "cpu.pressure");
  }

  const serai::testing::TempDir dir_;
};

TEST_F(PressureTest, BothLinesAreRead) {
  const auto pressure = Read(
      "some avg10=1.50 avg60=2.25 avg300=3.00 total=4567\n"
      "full avg10=0.10 avg60=0.20 avg300=0.30 total=89\n");
  ASSERT_TRUE(pressure);
  EXPECT_EQ(pressure->some.total_us, 4567u);
  EXPECT_EQ(pressure->some.avg10, 1.5);
  EXPECT_EQ(pressure->some.avg60, 2.25);
  EXPECT_EQ(pressure->some.avg300, 3);
  EXPECT_EQ(pressure->full.total_us, 89u);
  EXPECT_EQ(pressure->full.avg10, 0.1);
}

TEST_F(PressureTest, AnOlderKernelSaysOfCpuHowLongSomeWaitedOnly) {
  const auto pressure =
      Read("some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n");
  ASSERT_TRUE(pressure);
  EXPECT_EQ(pressure->some.total_us, 12u);
  EXPECT_EQ(pressure->full.total_us, 0u);
}

TEST_F(PressureTest, WithoutTheFileOrItsFormThereIsNone) {
  EXPECT_FALSE(ReadPressure(CgroupFiles(dir_.path()), "io.pressure"));
  EXPECT_FALSE(ReadPressure(CgroupFiles(""), "io.pressure"));
  EXPECT_FALSE(Read(""));
  EXPECT_FALSE(Read("some avg10=0.00 avg60=0.00 avg300=0.00\n"));
  EXPECT_FALSE(Read("some avg10=much avg60=0.00 avg300=0.00 total=1\n"));
}

}  // namespace
}  // namespace serai::host
