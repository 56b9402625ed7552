package inspect

import (
	"bytes"
	"strings"
)

// script reports whether w, the start of a piece, begins a script that an
// operating system or a browser would run. Byte order marks and white space
// before it are passed over, as interpreters do; not before an interpreter
// line, which the kernel wants at the first byte.
func script(w []byte) (string, bool) {
	if detail, ok := interpreterLine(w); ok {
		return detail, true
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(w, []byte("\xEF\xBB\xBF")), " \t\r\n\f\x00")
	if len(text) == 0 || !scriptStarts[text[0]|0x20] {
		return "", false
	}
	for _, s := range scripts {
		if len(text) > len(s.start) && strings.EqualFold(string(text[:len(s.start)]), s.start) {
			return s.language, true
		}
	}
	return "", false
}

// interpreterLine recognises "#!" with an absolute path after it (execve(2)).
func interpreterLine(w []byte) (string, bool) {
	if len(w) < 4 || w[0] != '#' || w[1] != '!' {
		return "", false
	}
	path := bytes.TrimLeft(w[2:], " \t")
	if len(path) < 2 || path[0] != '/' {
		return "", false
	}
	line, _, _ := bytes.Cut(path, []byte("\n"))
	for _, c := range line[:min(len(line), 16)] {
		if c < ' ' && c != '\t' && c != '\r' || c > '~' {
			return "", false
		}
	}
	return "interpreter line", true
}

// scripts are the first words of scripts. None of them begins a report, a
// protocol or a vendor's header.
var scripts = []struct{ start, language string }{
	{"@echo off", "batch file"},
	{"cmd.exe ", "batch file"},
	{"cmd /c ", "batch file"},
	{"powershell ", "PowerShell command"},
	{"powershell.exe ", "PowerShell command"},
	{"set-executionpolicy ", "PowerShell script"},
	{"on error resume next", "VBScript"},
	{"set wshshell", "VBScript"},
	{"createobject(", "VBScript"},
	{"<script>", "script markup"},
	{"<script ", "script markup"},
	{"<?php", "PHP script"},
	{"<hta:application", "HTML application"},
	{"[autorun]", "autorun file"},
}

// scriptStarts holds the first letters of scripts, in lower case.
var scriptStarts = func() (set [256]bool) {
	for _, s := range scripts {
		set[s.start[0]|0x20] = true
	}
	return set
}()
