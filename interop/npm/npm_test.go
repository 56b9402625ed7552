package npm

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// Tests of several programs install at once, and use what is installed while others
// ask for it.
func TestWhatIsInstalledStaysAsItIs(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	files := fstest.MapFS{
		"package.json":      {Data: []byte(`{"name": "nothing", "version": "1.0.0"}`)},
		"package-lock.json": {Data: []byte(`{"name": "nothing", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "nothing", "version": "1.0.0"}}}`)},
		"driver.mjs":        {Data: []byte("process.exit(0)\n")},
	}
	install := func() string {
		dir, err := Install("nothing", files)
		if err != nil {
			t.Error(err)
		}
		return dir
	}
	var dirs [3]string
	var installing sync.WaitGroup
	for i := range dirs {
		installing.Go(func() { dirs[i] = install() })
	}
	installing.Wait()
	if dirs[0] == "" || dirs[1] != dirs[0] || dirs[2] != dirs[0] {
		t.Fatalf("%q", dirs)
	}
	driver := filepath.Join(dirs[0], "driver.mjs")
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(driver, then, then); err != nil {
		t.Fatal(err)
	}
	install()
	if now, err := os.Stat(driver); err != nil || !now.ModTime().Equal(then) {
		t.Errorf("written again while somebody may read it: %v, %v", now, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dirs[0]), "*-begun-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	files["driver.mjs"] = &fstest.MapFile{Data: []byte("process.exit(1)\n")}
	if other := install(); other == dirs[0] {
		t.Error("other files, and the same directory")
	}
}
