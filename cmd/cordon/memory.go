package main

import (
	"log/slog"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory has the garbage collector keep the process below what the machine
// can spare: half of its memory, or four fifths of what its control group may
// have, whichever is less. GOMEMLIMIT, if it is set, says it instead. It returns
// the limit in bytes.
func limitMemory(log *slog.Logger) int64 {
	limit := debug.SetMemoryLimit(-1)
	if os.Getenv("GOMEMLIMIT") == "" {
		if spare := spareMemory("/"); spare > 0 {
			debug.SetMemoryLimit(spare)
			limit = spare
		}
	}
	log.Info("memory", "limit_mib", limit>>20)
	return limit
}

// spareMemory reads what a process may have from /proc and /sys under root; 0 if
// neither says.
func spareMemory(root string) int64 {
	spare := totalMemory(filepath.Join(root, "proc/meminfo")) / 2
	if group := groupMemory(root); group > 0 && (spare == 0 || group/5*4 < spare) {
		spare = group / 5 * 4
	}
	return spare
}

// totalMemory reads MemTotal (proc_meminfo(5)), which is in KiB.
func totalMemory(meminfo string) int64 {
	text, err := readSmallFile(meminfo)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			return number(fields[1]) << 10
		}
	}
	return 0
}

// groupMemory is the least limit of the process's control group and those above
// it (cgroups(7), versions 2 and 1); 0 if there is none.
func groupMemory(root string) int64 {
	text, err := readSmallFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	var least int64
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch parts[1] {
		case "": // version 2
		case "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			text, _ := readSmallFile(filepath.Join(root, mount, dir, file)) // the topmost has none
			if n := number(strings.TrimSpace(string(text))); n > 0 && n < math.MaxInt64/2 && (least == 0 || n < least) {
				least = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// number is 0 for what is none, such as "max".
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// arriving is how many objects may keep containers while they come in, of 16 MiB
// each: a quarter of the memory, but a few in any case.
func arriving(limit int64) int { return int(min(max(limit/4/(16<<20), 4), 256)) }

// sharedMemory is how much memory objects under way have together beyond the collector's
// sight, in bytes: what the limit does not count must fit beside it, in what it
// leaves of a small control group.
func sharedMemory(limit int64) int { return int(min(max(limit/8, 1<<20), 64<<20)) }
