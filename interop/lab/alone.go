package lab

import (
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Alone runs fn in a network namespace of its own, in which there is no other host. It
// ends with fn; run runs a program in it, and its error is the test's.
func Alone(t testing.TB, fn func(run func(args ...string) string)) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with fn; its thread is never used again
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_FS); err != nil {
			t.Errorf("a network namespace: %v (run the tests as root)", err)
			return
		}
		fn(func(args ...string) string {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v\n%s", args, err, out)
			}
			return string(out)
		})
	}()
	<-done
}
