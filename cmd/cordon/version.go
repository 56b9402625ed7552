package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"cordon/dicom"
)

type versionCommand struct{}

// Run prints one line of "name value" each.
func (versionCommand) Run(std stdio) error {
	fmt.Fprintf(std.out, "cordon     %s\n", version)
	fmt.Fprintf(std.out, "commit     %s\n", commit())
	fmt.Fprintf(std.out, "dictionary DICOM PS3.6 %s\n", dicom.DictionaryEdition)
	fmt.Fprintf(std.out, "built with %s for %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// commit is what the Go command recorded of the source, if it could.
func commit() string {
	id, changed := "unknown", ""
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return id
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			id = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	return id + changed
}
