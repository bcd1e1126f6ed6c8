// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which options the unikernels of images take: each is asked once
// (lib/guest/ask_options.h), and its answer kept in a file. An image's files
// never change, so neither does the answer. That there was none is kept for a
// while, in memory: a failure of the node's must not decide for an image. Any
// method from any thread.

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cri/image/turns.h"
#include "lib/guest/options.h"
#include "lib/solo5/unikernel.h"

namespace serai::cri {

class OptionsCache {
 public:
  // `directory` holds the answers and nothing else; it is made with the first.
  // `tender` is the program that runs a unikernel for a question.
  OptionsCache(std::string directory, std::string tender);

  // Removes the answers of images that `is_there` does not know by their id. At
  // the start, before anybody asks.
  void Forget(absl::FunctionRef<bool(const std::string& image)> is_there);

  struct Question {
    std::string image;  // its id
    std::string path;   // of the unikernel in it
    int root = -1;      // the image's root directory, borrowed
    const solo5::Unikernel& unikernel;
  };
  // Not known also when it can't be asked now: that is logged, and after ten
  // minutes another container's creation asks again. Blocks for as long as an
  // answer may take, and two seconds at most while others are asked; callers
  // that ask the same wait for the first, and take its result.
  guest::GuestOptions Of(const Question& question);

 private:
  std::string PathOf(const Question& question) const;
  guest::GuestOptions Ask(const Question& question, const std::string& path);
  bool TakeSlot();
  bool IsSilent(const std::string& path);
  void SetSilent(const std::string& path);
  void Keep(const Question& question, const guest::GuestOptions& options,
            const std::string& path);

  const std::string directory_;
  const std::string tender_;
  Turns turns_;
  absl::Mutex mutex_;
  int asking_ ABSL_GUARDED_BY(mutex_) = 0;
  // Those without an answer, by their path, and until when they are not asked.
  std::map<std::string, absl::Time> silent_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
