// SPDX-License-Identifier: Apache-2.0
// --jail: what a tender is when its guest runs, seen from outside.

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;
constexpr int kStrayFd = 30;

std::string Proc(pid_t pid, const std::string& file) {
  return absl::StrCat("/proc/", pid, "/", file);
}

std::string Contents(const std::string& path) {
  const auto text = ReadFile(path, 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::string LinkTo(const std::string& path) {
  char target[256] = {};
  const ssize_t n = ::readlink(path.c_str(), target, sizeof(target) - 1);
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

// The words behind "NAME:" in a process's status.
std::string StatusOf(pid_t pid, const std::string& name) {
  for (absl::string_view line :
       absl::StrSplit(Contents(Proc(pid, "status")), '\n')) {
    if (!absl::ConsumePrefix(&line, name + ":")) continue;
    return std::string(absl::StripAsciiWhitespace(line));
  }
  return "(not there)";
}

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const open = ::opendir(directory.c_str());
  EXPECT_NE(open, nullptr) << directory;
  if (open == nullptr) return names;
  while (const dirent* entry = ::readdir(open)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(open);
  return names;
}

// The only child of `pid`; 0 where there is none.
pid_t ChildOf(pid_t pid) {
  int child = 0;
  const std::string children =
      Contents(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  [[maybe_unused]] const bool found =
      absl::SimpleAtoi(absl::StripAsciiWhitespace(children), &child);
  return child;
}

UniqueFd OpenPidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// Whether it does; if not, it is killed.
bool EndsSoon(const UniqueFd& pidfd) {
  pollfd ended = {pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, 10'000) == 1) return true;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  return false;
}

bool BecomeNobody() {
  return ::setgroups(0, nullptr) == 0 &&
         ::setresgid(kNobody, kNobody, kNobody) == 0 &&
         ::setresuid(kNobody, kNobody, kNobody) == 0;
}

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) ==
                           static_cast<ssize_t>(text.size());
}

// As the root of a user namespace, which has no right outside.
bool BecomeRootOfNamespace() {
  return BecomeNobody() && ::prctl(PR_SET_DUMPABLE, 1) == 0 &&
         ::unshare(CLONE_NEWUSER) == 0 &&
         WriteText("/proc/self/setgroups", "deny") &&
         WriteText("/proc/self/uid_map", "0 65534 1") &&
         WriteText("/proc/self/gid_map", "0 65534 1");
}

// A namespace that has no names for anybody.
bool EnterUnmappedNamespace() {
  return BecomeNobody() && ::unshare(CLONE_NEWUSER) == 0;
}

bool UnmountProc() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::umount2("/proc", MNT_DETACH) == 0;
}

struct JailCase {
  const char* name;
  const char* words;
  bool (*prepare)() = nullptr;
  const char* uid = "0";
  std::set<std::string> namespaces = {};
};

void PrintTo(const JailCase& one, std::ostream* out) { *out << one.name; }

const JailCase kCases[] = {
    {"Plain", "--jail"},
    {"User", "--jail=uid=12345,gid=12346", nullptr, "12345"},
    {"Mount", "--jail=mount", nullptr, "0", {"mnt"}},
    {"Pid", "--jail=pid", nullptr, "0", {"pid"}},
    {"AllOfRoots",
     "--jail=mount,pid,net,ipc,uts,uid=12345,gid=12346",
     nullptr,
     "12345",
     {"mnt", "pid", "net", "ipc", "uts"}},
    {"RootsUserNamespace",
     "--jail=user,uid=12345,gid=12346",
     nullptr,
     "12345",
     {"user"}},
    {"Nobody", "--jail=user", BecomeNobody, "65534", {"user"}},
    {"AllOfNobodys",
     "--jail=user,mount,pid,net,ipc,uts,uid=7,gid=8",
     BecomeNobody,
     "65534",
     {"user", "mnt", "pid", "net", "ipc", "uts"}},
    {"InNamespace", "--jail", BecomeRootOfNamespace, "65534", {"user"}},
    {"MountInNamespace",
     "--jail=mount,pid",
     BecomeRootOfNamespace,
     "65534",
     {"mnt", "pid", "user"}},
    {"UserInNamespace",
     "--jail=user,uid=7",
     BecomeRootOfNamespace,
     "65534",
     {"user"}},
    {"WithoutProc", "--jail", UnmountProc, "0", {"mnt"}},
};

// Every target with every jail.
class JailTest
    : public ::testing::TestWithParam<std::tuple<const char*, JailCase>> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (IsHvt()) SERAI_NEED("kvm");
  }

  bool IsHvt() const { return target() == "hvt"; }
  std::string target() const { return std::get<0>(GetParam()); }
  const JailCase& jail() const { return std::get<1>(GetParam()); }

  // With all that the guest takes as descriptors, and one that it does not.
  TenderSpec SpecFor(const std::string& guest) {
    TenderSpec spec;
    spec.prepare = jail().prepare;
    spec.args = {"--mem=32", jail().words};
    kernel_.reset(
        ::open(Guest(guest + "." + target()).c_str(), O_RDONLY | O_CLOEXEC));
    stray_.reset(::open("/", O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel_.get()}, {kStrayFd, stray_.get()}};
    if (IsHvt()) {
      kvm_.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
      spec.fds[6] = kvm_.get();
      spec.args.push_back("--kvm=@6");
    }
    spec.args.push_back("@5");
    return spec;
  }

  // The process in which the guest is.
  pid_t TenderOf(const TenderProcess& process) const {
    return absl::StrContains(jail().words, "pid") ? ChildOf(process.pid())
                                                  : process.pid();
  }

 private:
  UniqueFd kernel_;
  UniqueFd stray_;
  UniqueFd kvm_;
};

INSTANTIATE_TEST_SUITE_P(All, JailTest,
                         ::testing::Combine(::testing::Values("hvt", "spt"),
                                            ::testing::ValuesIn(kCases)),
                         [](const auto& one) {
                           return absl::StrCat(std::get<1>(one.param).name, "_",
                                               std::get<0>(one.param));
                         });

// Empty, or not to be looked into at all; and nothing can be made there.
void ExpectEmptyForGood(const std::string& directory) {
  if (DIR* const open = ::opendir(directory.c_str()); open != nullptr) {
    ::closedir(open);
    EXPECT_THAT(Names(directory), IsEmpty());
  } else {
    EXPECT_THAT(errno, AnyOf(ENOENT, ESRCH)) << directory;
  }
  EXPECT_EQ(::mkdir((directory + "made").c_str(), 0700), -1);
  EXPECT_THAT(errno, AnyOf(EROFS, EPERM, ENOENT, ESRCH)) << directory;
}

void ExpectNoRights(pid_t pid) {
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusOf(pid, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusOf(pid, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusOf(pid, "Seccomp"), "2");
  ExpectEmptyForGood(Proc(pid, "root/"));
  ExpectEmptyForGood(Proc(pid, "cwd/"));
}

void ExpectUser(pid_t pid, const std::string& uid) {
  EXPECT_EQ(StatusOf(pid, "Uid"),
            absl::StrCat(uid, "\t", uid, "\t", uid, "\t", uid));
  const std::string groups = uid == "0" ? StatusOf(pid, "Groups") : "";
  EXPECT_EQ(StatusOf(pid, "Groups"), groups);
}

void ExpectNamespaces(pid_t pid, const std::set<std::string>& own) {
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"}) {
    const std::string file = absl::StrCat("ns/", name);
    EXPECT_EQ(LinkTo(Proc(pid, file)) != LinkTo(Proc(::getpid(), file)),
              own.count(name) == 1)
        << name;
  }
}

TEST_P(JailTest, LeavesTheTenderWithNothing) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  ASSERT_GT(pid, 0);
  ExpectNoRights(pid);
  ExpectUser(pid, jail().uid);
  ExpectNamespaces(pid, jail().namespaces);
  if (absl::StrContains(jail().words, "mount")) {
    const std::string mounts = Contents(Proc(pid, "mountinfo"));
    EXPECT_THAT(mounts, HasSubstr("tmpfs"));
    EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  }
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

TEST_P(JailTest, LeavesTheDescriptorsThatTheGuestTakes) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  std::vector<std::string> targets;
  for (const std::string& fd : Names(Proc(pid, "fd"))) {
    EXPECT_NE(fd, absl::StrCat(kStrayFd));
    targets.push_back(LinkTo(Proc(pid, "fd/" + fd)));
  }
  EXPECT_THAT(targets, Each(AnyOf(StartsWith("pipe:"), HasSubstr("/spin."), "/",
                                  ::testing::EndsWith("/fdinfo"),
                                  StartsWith("anon_inode:"), "/dev/kvm")));
}

// The limit in force, of those in a process's table; "(not there)" if none.
std::string LimitOf(pid_t pid, const std::string& name) {
  for (absl::string_view line :
       absl::StrSplit(Contents(Proc(pid, "limits")), '\n')) {
    if (!absl::ConsumePrefix(&line, name)) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    return words.empty() ? "" : words[0];
  }
  return "(not there)";
}

TEST_P(JailTest, SetsLimits) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  for (const char* name :
       {"Max core file size", "Max file size", "Max locked memory",
        "Max msgqueue size", "Max nice priority", "Max realtime priority"}) {
    EXPECT_EQ(LimitOf(pid, name), "0") << name;
  }
  if (!IsHvt()) {
    EXPECT_EQ(LimitOf(pid, "Max processes"), "0");
  }
  int files = 0;
  EXPECT_TRUE(absl::SimpleAtoi(LimitOf(pid, "Max open files"), &files));
  EXPECT_LT(files, 32);
}

TEST_P(JailTest, LimitsFilesToTheLargestDisk) {
  const TempDir directory;
  TenderSpec spec = SpecFor("block");
  UniqueFd disk(
      ::open((directory / "disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  spec.fds[7] = disk.get();
  spec.args.insert(spec.args.begin(), "--block:storage=@7");
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0) << result.output;
  // A console that is a file grows beyond it.
  const UniqueFd console(::open((directory / "console").c_str(),
                                O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  spec = SpecFor("flood");
  spec.args.push_back("--lines=2000");
  spec.stdout_fd = console.get();
  EXPECT_EQ(RunTender(spec).status, 0);
  EXPECT_GT(::lseek(console.get(), 0, SEEK_END), 2000);
}

TEST_P(JailTest, RunsGuestsToTheirEnd) {
  TenderSpec spec = SpecFor("exit");
  spec.args.push_back("--status=7");
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 7) << result.output;
}

TEST_P(JailTest, EndsWithItsParent) {
  int pids[2];
  ASSERT_EQ(::pipe2(pids, O_CLOEXEC), 0);
  const UniqueFd reader(pids[0]);
  const UniqueFd writer(pids[1]);
  const TenderSpec spec = SpecFor("spin");
  const pid_t parent = ::fork();
  if (parent == 0) {
    TenderProcess process(spec);
    if (!process.WaitForOutput("spin")) ::_exit(1);
    const pid_t both[] = {process.pid(), TenderOf(process)};
    if (::write(writer.get(), both, sizeof(both)) != sizeof(both)) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t both[2] = {};
  ASSERT_EQ(::read(reader.get(), both, sizeof(both)),
            static_cast<ssize_t>(sizeof(both)));
  const UniqueFd first = OpenPidfd(both[0]);
  const UniqueFd second = OpenPidfd(both[1]);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(EndsSoon(first));
  EXPECT_TRUE(EndsSoon(second));
}

// Nothing holds the place of an output that was closed but the empty root.
TEST(JailOutputTest, LeadsNowhereWhereItWasClosed) {
  SERAI_NEED("root");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail", Guest("spin.spt"), "--idle"};
  spec.prepare = [] {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      ::close(fd);
    }
    return true;
  };
  TenderProcess process(spec);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (StatusOf(process.pid(), "Seccomp") != "2" && absl::Now() < deadline) {
    ::usleep(1000);
  }
  struct stat root = {};
  ASSERT_EQ(::stat(Proc(process.pid(), "root/").c_str(), &root), 0);
  for (const char* fd : {"fd/0", "fd/1", "fd/2"}) {
    struct stat place = {};
    EXPECT_EQ(::stat(Proc(process.pid(), fd).c_str(), &place), 0) << fd;
    EXPECT_EQ(place.st_dev, root.st_dev) << fd;
  }
}

// How the process in a PID namespace and the one that waits for it belong
// together.
class WaiterTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (std::string(GetParam()) == "hvt") SERAI_NEED("kvm");
  }
  TenderSpec SpecFor(const std::string& guest) {
    TenderSpec spec;
    spec.args = {"--mem=32", "--jail=pid,mount,uid=12345,gid=12346",
                 Guest(guest + "." + GetParam())};
    return spec;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, WaiterTest, ::testing::Values("hvt", "spt"),
                         [](const auto& one) {
                           return std::string(one.param);
                         });

TEST_P(WaiterTest, IsInTheSameJail) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  ExpectNoRights(process.pid());
  ExpectUser(process.pid(), "12345");
  EXPECT_THAT(Names(Proc(process.pid(), "fd")), IsEmpty());
}

TEST_P(WaiterTest, PassesSignalsOn) {
  for (const int number : {SIGTERM, SIGINT}) {
    TenderProcess process(SpecFor("spin"));
    ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
    process.Kill(number);
    EXPECT_EQ(process.Wait(), 128 + number);
  }
}

TEST_P(WaiterTest, PassesOnASignalThatComesAtAnyTime) {
  for (int delay = 0; delay < 3000; delay += 100) {
    TenderProcess process(SpecFor("spin"));
    ::usleep(static_cast<useconds_t>(delay));
    process.Kill(SIGTERM);
    EXPECT_EQ(process.Wait(), 128 + SIGTERM) << delay << " us";
  }
}

TEST_P(WaiterTest, TakesTheTenderAlong) {
  for (const int number : {SIGKILL, SIGHUP, SIGALRM}) {
    TenderProcess process(SpecFor("spin"));
    ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
    const UniqueFd tender = OpenPidfd(ChildOf(process.pid()));
    process.Kill(number);
    EXPECT_EQ(process.Wait(), 128 + number);
    EXPECT_TRUE(EndsSoon(tender));
  }
}

TEST_P(WaiterTest, DiesOfWhatTheTenderDiesOf) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  ::kill(ChildOf(process.pid()), SIGKILL);
  EXPECT_EQ(process.Wait(), 128 + SIGKILL);
}

TEST(WaiterSptTest, DiesOfAFaultOfTheGuests) {
  SERAI_NEED("root");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=pid", Guest("crash.spt")};
  TenderProcess process(spec);
  EXPECT_EQ(process.Wait(), 128 + SIGSEGV);
  EXPECT_FALSE(process.dumped_core());
  // Where it can't, as the first process of another namespace, it says so.
  spec.first_of_pid_namespace = true;
  EXPECT_EQ(RunTender(spec).status, 128 + SIGSEGV);
}

TEST(WaiterHvtTest, PassesRequestsOn) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=pid,mount", Guest("spin.hvt")};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin"));
  process.Kill(SIGUSR1);
  EXPECT_TRUE(process.WaitForOutput("{\"stats\":"));
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

// What is named by a path is open before the jail is entered.
TEST(JailFilesTest, OpensWhatIsNamedFirst) {
  SERAI_NEED("root");
  for (const std::string target : {"hvt", "spt"}) {
    if (target == "hvt" && Lacks("kvm")) continue;
    const TempDir directory;
    const UniqueFd disk(::open((directory / "disk").c_str(),
                               O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
    TenderSpec spec;
    spec.args = {"--mem=32", "--jail=mount,pid,uid=12345,gid=12346",
                 "--block:storage=" + (directory / "disk"),
                 Guest("block." + target)};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 0) << result.output;
    spec.args.back() = "/no/such/kernel";
    EXPECT_THAT(RunTender(spec).output,
                HasSubstr("/no/such/kernel: Could not"));
  }
}

TEST(JailFilesTest, LeavesACoreFileWhereItMay) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  const TempDir directory;
  ASSERT_EQ(::chown(directory.path().c_str(), 12345, 12346), 0);
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=mount,pid,uid=12345,gid=12346",
               "--dumpcore=" + directory.path(), Guest("spin.hvt")};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGQUIT);
  EXPECT_EQ(process.Wait(), 128 + SIGQUIT) << process.Output();
  EXPECT_THAT(Names(directory.path()),
              ::testing::ElementsAre(StartsWith("core.serai-tender.1")));
}

TEST(JailFilesTest, LeavesNothingBehind) {
  SERAI_NEED("root");
  const std::string before = Contents("/proc/self/mountinfo");
  for (const JailCase& one : kCases) {
    TenderSpec spec;
    spec.prepare = one.prepare;
    const UniqueFd kernel(
        ::open(Guest("hello.spt").c_str(), O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel.get()}};
    spec.args = {"--mem=32", one.words, "@5"};
    EXPECT_EQ(RunTender(spec).status, 0) << one.name;
  }
  EXPECT_EQ(Contents("/proc/self/mountinfo"), before);
}

struct RefusalCase {
  const char* words;
  bool (*prepare)();
  const char* message;
};

TEST(JailRefusalTest, SaysWhatIsMissing) {
  SERAI_NEED("root");
  const RefusalCase cases[] = {
      {"--jail", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=uid=1", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=pid", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=mount", BecomeNobody, "add the word user"},
      {"--jail=uts", BecomeNobody, "add the word user"},
      {"--jail=mount,uid=5", BecomeRootOfNamespace,
       "taking on the user or group"},
      {"--jail=user", EnterUnmappedNamespace, "does not allow it"},
  };
  for (const RefusalCase& one : cases) {
    TenderSpec spec;
    spec.prepare = one.prepare;
    const UniqueFd kernel(
        ::open(Guest("hello.spt").c_str(), O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel.get()}};
    spec.args = {"--mem=32", one.words, "@5"};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1) << one.words;
    EXPECT_THAT(result.output, HasSubstr(one.message)) << one.words;
    EXPECT_THAT(result.output, Not(HasSubstr("SUCCESS"))) << one.words;
  }
}

TEST(JailRefusalTest, SaysWhyThereIsNoKvm) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  const UniqueFd kernel(
      ::open(Guest("hello.hvt").c_str(), O_RDONLY | O_CLOEXEC));
  TenderSpec spec;
  spec.prepare = BecomeNobody;
  spec.fds = {{5, kernel.get()}};
  spec.args = {"--mem=32", "--jail=user", "@5"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output,
              HasSubstr("Could not open /dev/kvm: Permission denied"));
}

}  // namespace
}  // namespace serai::testing
