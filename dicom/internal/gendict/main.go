// Command gendict writes the dictionaries of package dicom from sources that Debian packages
// install: attributes from DCMTK's dicom.dic (libdcmtk17), the names of attributes and the
// UIDs from pydicom (python3-pydicom). Run by go generate in dicom.
//
//	go run ./internal/gendict -o .
//
// It writes dictionary_gen.go and uid_gen.go, whose form depends on the sources alone.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// Where Debian's packages put the sources.
const (
	attributeSource = "/usr/share/libdcmtk17/dicom.dic"
	nameSource      = "/usr/lib/python3/dist-packages/pydicom/_dicom_dict.py"
	uidSource       = "/usr/lib/python3/dist-packages/pydicom/_uid_dict.py"
)

func main() {
	dir := flag.String("o", ".", "directory to write to")
	flag.Parse()
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "gendict:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := Generate()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Generate makes the generated files: their names and their text.
func Generate() (map[string][]byte, error) {
	dictionary, err := generateDictionary()
	if err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	uids, err := generateUIDs()
	if err != nil {
		return nil, fmt.Errorf("UIDs: %w", err)
	}
	return map[string][]byte{"dictionary_gen.go": dictionary, "uid_gen.go": uids}, nil
}
