package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryIsLimitedByMachineAndControlGroup(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 0},
		{"machine", map[string]string{"proc/meminfo": "MemTotal:        8388608 kB\nMemFree: 1 kB\n", "proc/self/cgroup": "0::/\n"}, 4 * gib},
		{"service of 1 GiB", map[string]string{
			"proc/meminfo": "MemTotal: 8388608 kB\n", "proc/self/cgroup": "0::/system.slice/cordon.service\n",
			"sys/fs/cgroup/system.slice/cordon.service/memory.max": "1073741824\n", "sys/fs/cgroup/system.slice/memory.max": "max\n",
		}, gib / 5 * 4},
		{"slice above it", map[string]string{
			"proc/meminfo": "MemTotal: 8388608 kB\n", "proc/self/cgroup": "0::/system.slice/cordon.service\n",
			"sys/fs/cgroup/system.slice/cordon.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/memory.max": "2147483648\n",
		}, 2 * gib / 5 * 4},
		{"version 1", map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1073741824\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, gib / 5 * 4},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := spareMemory(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
	if spareMemory("/") <= 0 {
		t.Error("this machine does not say how much memory it has")
	}
}

// What the collector does not see fits into the fifth that it leaves of a small
// control group.
func TestSharedMemoryFitsBesideTheLimit(t *testing.T) {
	for _, group := range []int64{64 << 20, 128 << 20, 512 << 20, 4 << 30, 64 << 30} {
		limit := group / 5 * 4
		if n := sharedMemory(limit); n <= 0 || n > 64<<20 || limit+int64(n) > group {
			t.Errorf("of %d MiB: %d MiB beside %d MiB", group>>20, n>>20, limit>>20)
		}
	}
}
