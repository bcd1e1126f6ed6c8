// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who is measured: a tender with some options, for guests of one target.

#include <string>
#include <vector>

namespace serai::bench {

struct Contestant {
  std::string target;   // "hvt" or "spt"
  std::string name;     // "serai --cpl=0"
  std::string program;  // path of the tender
  std::vector<std::string> options;
  // What the others of its target are compared with.
  bool reference = false;

  // The words that run `guest` ("hello") out of `guests`, a directory.
  std::vector<std::string> Command(const std::string& guests,
                                   const std::string& guest,
                                   const std::vector<std::string>& devices,
                                   const std::vector<std::string>& args) const;
};

inline std::vector<std::string> Contestant::Command(
    const std::string& guests, const std::string& guest,
    const std::vector<std::string>& devices,
    const std::vector<std::string>& args) const {
  std::vector<std::string> words = {program, "--mem=64"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), devices.begin(), devices.end());
  words.push_back(guests + "/" + guest + "." + target);
  words.insert(words.end(), args.begin(), args.end());
  return words;
}

}  // namespace serai::bench
