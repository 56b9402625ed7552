package interop

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// overlay is this machine's file system with a layer above it that takes every
// change, so that packages can be installed and removed.
func overlay(t *testing.T) (root string) {
	t.Helper()
	top := t.TempDir()
	if err := syscall.Mount("cordon-interop", top, "tmpfs", 0, "size=512m"); err != nil { // an overlay's layer cannot lie on an overlay
		t.Fatalf("mount: %v (run the tests as root)", err)
	}
	t.Cleanup(func() { unmount(t, top) })
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root = filepath.Join(top, "root")
	if err := syscall.Mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+top+"/upper,workdir="+top+"/work"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { unmount(t, root) })
	return root
}

func unmount(t *testing.T, dir string) {
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		t.Errorf("unmounting %s: %v", dir, err)
	}
}

// The package installs, leaves the configuration and the data alone when it is
// upgraded, and deletes no image that is nowhere else.
func TestTheDebianPackageInstallsAndLeaves(t *testing.T) {
	root, out := overlay(t), t.TempDir()
	t.Setenv("COMPRESS", "none")
	for _, version := range []string{"0~test1", "0~test2"} {
		run(t, "../deploy/debian/build.sh", cordonProgram(t), out, version, "1795305600")
	}
	packages, err := filepath.Glob(filepath.Join(out, "*.deb"))
	if err != nil || len(packages) != 2 {
		t.Fatalf("%v, %v", packages, err)
	}
	for i, from := range packages {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		packages[i] = "/" + filepath.Base(from)
		if err := os.WriteFile(filepath.Join(root, packages[i]), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(args ...string) string { return run(t, "chroot", append([]string{root}, args...)...) }
	there := func(path string) bool {
		_, err := os.Lstat(filepath.Join(root, path))
		return err == nil
	}
	in("dpkg", "-i", packages[0])
	if got := in("stat", "-c", "%U:%G %a", "/var/lib/cordon", "/etc/cordon/cordon.yaml"); got != "cordon:cordon 700\nroot:cordon 640\n" {
		t.Errorf("owners and modes: %s", got)
	}
	if in("cordon", "config", "check", "/etc/cordon/cordon.yaml"); !there("/etc/systemd/system/multi-user.target.wants/cordon.service") {
		t.Error("the service is not enabled")
	}
	if there("/etc/systemd/system/multi-user.target.wants/cordon-deadman.service") {
		t.Error("the bypass is enabled, and nobody has chosen it")
	}
	in("sh", "-c", "echo 'site: Example Hospital' >>/etc/cordon/cordon.yaml && mkdir -p /var/lib/cordon/objects/a && echo image >/var/lib/cordon/objects/a/image")
	in("dpkg", "-i", packages[1])
	if got := in("cat", "/etc/cordon/cordon.yaml"); !strings.Contains(got, "Example Hospital") || !there("/var/lib/cordon/objects/a/image") {
		t.Error("the upgrade has changed the configuration or the data")
	}
	in("dpkg", "-r", "cordon")
	if there("/usr/bin/cordon") || !there("/etc/cordon/cordon.yaml") || !there("/var/lib/cordon/objects/a/image") {
		t.Error("removing it removed too little or too much")
	}
	if said := in("dpkg", "-P", "cordon"); !strings.Contains(said, "/var/lib/cordon is kept") || !there("/var/lib/cordon/objects/a/image") || there("/etc/cordon") {
		t.Errorf("an image that is nowhere else was purged, or the configuration was not: %s", said)
	}
	in("rm", "-r", "/var/lib/cordon/objects/a")
	in("dpkg", "-i", packages[1])
	in("sh", "-c", "rm /etc/cordon/cordon.yaml; mkdir -p /var/lib/cordon/archive/study && echo image >/var/lib/cordon/archive/study/image")
	in("dpkg", "-i", packages[0]) // without the configuration that somebody took away
	if in("dpkg", "-P", "cordon"); !there("/var/lib/cordon/archive/study/image") {
		t.Error("an image of the folder archive was purged")
	}
	in("rm", "-r", "/var/lib/cordon/archive/study")
	in("dpkg", "-i", packages[1])
	in("dpkg", "-P", "cordon")
	for _, path := range []string{"/var/lib/cordon", "/etc/cordon", "/lib/systemd/system/cordon.service", "/usr/share/doc/cordon"} {
		if there(path) {
			t.Errorf("%s is left", path)
		}
	}
}
