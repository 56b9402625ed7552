package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"cordon/media"
)

// walk calls fn for every file that the paths name: files, and trees of
// folders. Links named on the command line are followed; in a tree, links to
// files are, links to folders are not, since trees end and links need not. What
// is neither file nor folder, and what cannot be read, goes to bad. An error of
// fn ends the walk.
func walk(paths []string, fn func(path string) error, bad func(path string, err error)) error {
	for _, root := range paths {
		info, err := os.Stat(root)
		if err != nil {
			bad(root, err)
			continue
		}
		if info.IsDir() {
			err = walkFolder(root, fn, bad)
		} else {
			err = fn(root)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func walkFolder(root string, fn func(string) error, bad func(string, error)) error {
	root = filepath.Clean(root) + string(filepath.Separator) // with which WalkDir follows a link
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			bad(path, err)
			return nil
		case entry.IsDir():
			return nil
		case entry.Type()&fs.ModeSymlink != 0:
			return walkLink(path, fn, bad)
		}
		return fn(path)
	})
}

func walkLink(path string, fn func(string) error, bad func(string, error)) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		bad(path, err)
		return nil
	case info.IsDir():
		bad(path, fmt.Errorf("%s: a link to a folder is not followed: name the folder itself", path))
		return nil
	}
	return fn(path)
}

// openFile opens a regular file. It never waits for the other end of a pipe,
// and never touches a device.
func openFile(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENXIO) {
		return nil, 0, fmt.Errorf("%s is a socket, not a regular file", path)
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := media.RegularSize(f)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// printable is text from elsewhere as a terminal may show it: names on a foreign
// medium, identifiers in an object and comments of a peer can hold control
// sequences.
func printable(text string) string {
	control := func(r rune) bool { return !strconv.IsPrint(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		return strconv.Quote(text)
	}
	return text
}
