package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	pydicomFiles = "/usr/lib/python3/dist-packages/pydicom/data/test_files"
	treeImages   = 400 // CT images beside pydicom's files
)

// tree measures `cordon inspect` over a directory tree beside a plain digest
// of the same tree and ClamAV's daemon with two signatures of our own: what is
// compared is reading and taking apart, not a signature database.
func tree(ctx context.Context, b *bench) error {
	root := filepath.Join(b.dir, "tree")
	if err := os.CopyFS(filepath.Join(root, "pydicom"), os.DirFS(pydicomFiles)); err != nil {
		return err
	}
	if _, err := makeCTs(filepath.Join(root, "ct"), treeImages); err != nil {
		return err
	}
	paths, size, err := walk(root)
	if err != nil {
		return err
	}
	config, clamd, err := startClamd(ctx, filepath.Join(b.dir, "clamd"), map[string]string{
		"bench.hdb": "44d88612fea8a8f36de82e1278abb02f:68:Bench.Eicar\n",
		"bench.ndb": "Bench.Marker:0:*:62656e63682d6d61726b65722d746861742d69732d6e6f7768657265\n",
	})
	if err != nil {
		return err
	}
	defer clamd.stop()

	tools := [...]struct {
		name string
		argv []string
	}{
		{"sha256sum", append([]string{"sha256sum", "--"}, paths...)},
		{"cordon inspect", []string{b.cordon, "inspect", "--json", root}},
		{"clamdscan --fdpass", []string{"clamdscan", "--config-file=" + config, "--fdpass", root}},
		{"clamdscan --fdpass --multiscan", []string{"clamdscan", "--config-file=" + config, "--fdpass", "--multiscan", root}},
	}
	rows := [][]string{{"tool", "seconds", "MB/s", "times sha256sum"}}
	var reference time.Duration
	for _, tool := range tools {
		took, err := timed(ctx, tool.argv)
		if err != nil {
			return fmt.Errorf("%s: %w", tool.name, err)
		}
		if reference == 0 {
			reference = took
		}
		rows = append(rows, []string{tool.name, fmt.Sprintf("%.2f", took.Seconds()), megabytes(size, took),
			fmt.Sprintf("%.2f", took.Seconds()/reference.Seconds())})
	}
	b.table(fmt.Sprintf("a tree of %d files, %.0f MB", len(paths), float64(size)/1e6), rows)
	return nil
}

// walk lists the files of a tree and adds up their bytes.
func walk(root string) (paths []string, size int64, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		paths, size = append(paths, path), size+info.Size()
		return nil
	})
	return paths, size, err
}

// timed runs a tool twice and returns how long the second run took, with the
// tree in the page cache. Exit 1 means that something was found.
func timed(ctx context.Context, argv []string) (time.Duration, error) {
	var took time.Duration
	for range 2 {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		took = time.Since(begin)
		var exit *exec.ExitError
		if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
			return 0, fmt.Errorf("%w: %.2000s", err, out)
		}
	}
	return took, nil
}

// startClamd runs clamd on a socket, dir/clamd.sock, and with signatures of its
// own, given by file name.
func startClamd(ctx context.Context, dir string, signatures map[string]string) (config string, p *peer, err error) {
	database := filepath.Join(dir, "db")
	if err := os.MkdirAll(database, 0o755); err != nil {
		return "", nil, err
	}
	for name, text := range signatures {
		if err := os.WriteFile(filepath.Join(database, name), []byte(text), 0o644); err != nil {
			return "", nil, err
		}
	}
	config = filepath.Join(dir, "clamd.conf")
	// Without its cache of clean files, which would answer every second run.
	text := fmt.Sprintf("DatabaseDirectory %s\nLocalSocket %s\nTemporaryDirectory %s\nForeground yes\nDisableCache yes\n",
		database, filepath.Join(dir, "clamd.sock"), dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return "", nil, err
	}
	p, err = start(dir, nil, "clamd", "--config-file="+config)
	if err != nil {
		return "", nil, err
	}
	if err := p.ready(ctx, func() error { return exec.Command("clamdscan", "--config-file="+config, "--ping", "1").Run() }); err != nil {
		p.stop()
		return "", nil, err
	}
	return config, p, nil
}
