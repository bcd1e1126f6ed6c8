// SPDX-License-Identifier: Apache-2.0
#include "cri/unpacker/jail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::TempDir;

constexpr int64_t kMaxFile = 1 << 20;

class UnpackerJailTest : public ::testing::Test {
 protected:
  // Runs `inside`, in the jail, in a child; it gives a number below 100 for
  // what went wrong and 0 for nothing. Not the place for EXPECT.
  int Jailed(const std::function<int()>& inside) {
    const std::string root = dir_ / "root";
    EXPECT_OK(MakeDirs(root));
    const auto fd = OpenFile(root, O_RDONLY | O_DIRECTORY);
    EXPECT_OK(fd);
    if (::geteuid() == 0) {
      EXPECT_EQ(::fchown(fd->get(), kUnpackerUser, kUnpackerUser), 0);
    }
    const pid_t child = ::fork();
    EXPECT_GE(child, 0);
    if (child == 0) {
      ::dup2(fd->get(), 100);
      if (!EnterUnpackerJail(100, 100, kMaxFile).ok()) ::_exit(100);
      ::_exit(inside());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  const TempDir dir_;
};

TEST_F(UnpackerJailTest, MakesFilesOfEveryKindThatLayersHave) {
  EXPECT_EQ(Jailed([] {
              if (::mkdirat(AT_FDCWD, "d", 0755) != 0) return 1;
              const int fd = ::open("d/f", O_WRONLY | O_CREAT, 0600);
              if (fd < 0 || ::write(fd, "x", 1) != 1) return 2;
              if (::fchmod(fd, 0755) != 0 || ::ftruncate(fd, 10) != 0) return 3;
              if (::linkat(AT_FDCWD, "d/f", AT_FDCWD, "l", 0) != 0) return 4;
              if (::symlinkat("d", AT_FDCWD, "s") != 0) return 5;
              return ::unlinkat(AT_FDCWD, "l", 0) == 0 ? 0 : 6;
            }),
            0);
  struct stat st = {};
  ASSERT_EQ(::stat((dir_ / "root/d/f").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, ::geteuid() == 0 ? kUnpackerUser : ::geteuid());
  EXPECT_EQ(st.st_size, 10);
}

TEST_F(UnpackerJailTest, SeesNothingOfTheSystem) {
  SERAI_NEED("root");
  ASSERT_OK(WriteFileAtomic(dir_ / "secret", "x", 0644));
  EXPECT_EQ(Jailed([this] {
              if (::access("/etc/passwd", F_OK) == 0) return 1;
              if (::access("../secret", F_OK) == 0) return 2;
              if (::access((dir_ / "secret").c_str(), F_OK) == 0) return 3;
              if (::access("/proc/self", F_OK) == 0) return 4;
              return 0;
            }),
            0);
}

TEST_F(UnpackerJailTest, HasNoOtherDescriptor) {
  EXPECT_EQ(Jailed([] {
              for (int fd = 101; fd < 200; ++fd) {
                if (::fcntl(fd, F_GETFD) >= 0) return 1;
              }
              return 0;
            }),
            0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(UnpackerJailTest, CanDoNothingToOthers) {
  EXPECT_EQ(Jailed([] {
              if (::socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return 1;
              if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) return 2;
              if (::kill(::getppid(), 0) == 0) return 3;
              if (::fork() >= 0) return 4;
              if (::setuid(0) == 0) return 5;
              if (::chroot("/") == 0) return 6;
              if (::mknod("device", S_IFCHR | 0666, 0x103) == 0) return 7;
              if (::mkfifo("fifo", 0666) == 0) return 8;
              if (::setxattr(".", "user.x", "y", 1, 0) == 0) return 9;
              if (::execl("/bin/true", "true", nullptr) == 0) return 10;
              if (::chown(".", 0, 0) == 0) return 11;
              return 0;
            }),
            0);
}

TEST_F(UnpackerJailTest, MemoryIsBounded) {
  EXPECT_EQ(Jailed([] {
              const void* memory =
                  ::mmap(nullptr, size_t{1} << 30, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return memory == MAP_FAILED ? 0 : 1;
            }),
            0);
}
#endif

TEST_F(UnpackerJailTest, FilesAreBounded) {
  EXPECT_EQ(Jailed([] {
              const int fd = ::open("f", O_WRONLY | O_CREAT, 0600);
              if (fd < 0) return 1;
              if (::pwrite(fd, "x", 1, kMaxFile - 1) != 1) return 2;
              return ::pwrite(fd, "x", 1, kMaxFile) < 0 && errno == EFBIG ? 0
                                                                          : 3;
            }),
            0);
}

}  // namespace
}  // namespace serai::cri
