package container

import (
	"syscall"
	"time"
)

// Spent is the processor's time that this process has had so far: what work costs,
// however busy the machine is with something else.
func Spent() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
