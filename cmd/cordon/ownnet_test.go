package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownNetVariable says that this process is in a network namespace of the tests' own.
const ownNetVariable = "CORDON_TEST_OWN_NET"

// inOwnNetwork runs the tests again in a network namespace that has a loopback
// interface and nothing else, where whoever runs them may make one: some apply rules
// of packets, which must not be this machine's. It returns where they are in one
// already, or cannot be, and what runs is the program and not its tests.
func inOwnNetwork() {
	if !strings.HasSuffix(filepath.Base(os.Args[0]), ".test") || os.Getuid() != 0 {
		return
	}
	if os.Getenv(ownNetVariable) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), ownNetVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(ended.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "a network namespace for the tests:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// loopbackUp does what "ip link set lo up" does.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}
