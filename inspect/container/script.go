package container

import (
	"bytes"
	"slices"
)

// A language is recognised by marks that are independent of each other: how
// lines begin, and words that hardly stand in any other text. A report may hold
// one of them; none holds enough.
type language struct {
	name  string
	lines []string // starts of lines
	words []string
	need  int // words that must be there, each counted once
}

// A script has enoughLines lines, or the only one, and one in lineShare of all, that begin
// as its language's do. Comments do not count.
const (
	enoughLines = 2
	lineShare   = 5
)

// languages are those whose scripts an operating system runs when they are opened.
// Everything is in lower case.
var languages = [languageCount]language{
	{
		name:  "PowerShell",
		lines: []string{"$", "param", "function ", "import-module ", "add-type ", "set-", "get-", "start-", "invoke-", "new-", "write-", "iex", "if ", "if(", "foreach", "try", "}", "[", "remove-"},
		words: []string{
			"invoke-expression", "invoke-webrequest", "new-object ", "downloadstring(", "downloadfile(", "frombase64string(", "-executionpolicy",
			"$env:", "-encodedcommand", "start-process", "[system.", "set-itemproperty", "-windowstyle hidden", "write-host", "write-output",
			"get-childitem", "remove-item", "add-type ", "| out-null", "cmdletbinding", "$_.", "iex ", "iex(", "$psscriptroot", "get-wmiobject",
		},
		need: 3,
	},
	{
		name:  "batch file",
		lines: []string{"@echo ", "@", "rem ", "::", "set ", "goto ", ":", "if exist ", "if not ", "if \"", "if %", "for %", "del ", "copy ", "call ", "start ", "echo ", "exit /b", "setlocal", "pause", "reg ", "schtasks "},
		words: []string{
			"@echo off", "%~dp0", "%temp%", "%appdata%", "%userprofile%", "%systemroot%", "%windir%", ">nul", "> nul", "exit /b", "%errorlevel%",
			"if errorlevel", "reg add ", "schtasks /", "certutil ", "del /", "for %%", "setlocal ", "goto :", "goto end", "cmd /c", "cmd.exe",
			"powershell", "if exist \"", "%1", "%~1", "taskkill ", "rundll32", "regsvr32", "mshta ", "bitsadmin",
		},
		need: 3,
	},
	{
		name:  "VBScript",
		lines: []string{"dim ", "set ", "on error ", "sub ", "function ", "end sub", "end function", "end if", "next", "wscript.", "call ", "option explicit", "const ", "private ", "public ", "if ", "for each "},
		words: []string{
			"createobject(", "wscript.shell", "scripting.filesystemobject", "on error resume next", "msxml2.", "adodb.stream", "wscript.sleep",
			"wscript.echo", "wscript.quit", "end function", "end sub", "option explicit", "getobject(", "executeglobal", "shell.application",
			"winmgmts:", "createtextfile(", "strreverse(", "chr(", ".run ", ".regwrite",
		},
		need: 3,
	},
	{
		name:  "JScript",
		lines: []string{"var ", "let ", "const ", "function ", "function(", "(function", "try", "if (", "if(", "for (", "for(", "return", "}", "new ", "wscript.", "//", "/*", "\"use strict\"", "'use strict'"},
		words: []string{
			"new activexobject(", "wscript.createobject(", "wscript.shell", "wscript.echo", "wscript.quit", "scripting.filesystemobject", "msxml2.xmlhttp", "adodb.stream",
			"eval(", "string.fromcharcode(", "unescape(", "require('child_process')", "require(\"child_process\")", "require('fs')", "require(\"fs\")",
			".exec(", ".execsync(", ".responsebody", "shell.application", ".savetofile(", "process.env", ".charcodeat(",
		},
		need: 3,
	},
	{
		name:  "shell script",
		lines: []string{"if [", "for ", "while ", "do", "done", "fi", "then", "export ", "echo ", "cd ", "rm -", "curl ", "wget ", "chmod ", "sudo ", "case ", "esac", "}", "set -", "exec ", "mkdir ", "cp ", "nohup "},
		words: []string{
			"/bin/sh", "/bin/bash", "2>&1", ">/dev/null", "> /dev/null", "chmod +x", "chmod 7", "rm -rf ", "rm -f ", "/dev/tcp/", "$(", "curl -", "wget -", "nohup ",
			"| sh", "| bash", "; then", "; do", "\"$@\"", "\"$1\"", "$home", "crontab", "base64 -d", "set -e", "if [ ", "mkfifo ", "exec ", "/tmp/.",
		},
		need: 4,
	},
	{
		name:  "Python script",
		lines: []string{"import ", "from ", "def ", "class ", "if __name__", "try:", "except", "with open(", "for ", "print(", "exec(", "while ", "return", "os.", "subprocess."},
		words: []string{
			"import os", "import sys", "import subprocess", "import socket", "import base64", "import ctypes", "subprocess.", "os.system(", "os.popen(",
			"if __name__ ==", "exec(", "eval(", "b64decode(", "socket.socket(", "urllib.request", "requests.get(", "sys.argv", "__import__(", "ctypes.", "os.path.",
			"pty.spawn(", "shutil.", "zlib.decompress(", "marshal.loads(",
		},
		need: 4,
	},
}

// script names the language that text, in lower case, is a script in.
func (l *level) script(text []byte) (string, bool) {
	counts, all := countLines(text)
	for i := range languages {
		if n := counts[i]; n == 0 || n < min(enoughLines, all) || n*lineShare < all {
			continue
		}
		if l.weighed += len(text); l.weighed > weighTexts {
			l.limited(0, "texts beyond the limit")
			return "", false
		}
		if countWords(text, languages[i].words) >= languages[i].need {
			return languages[i].name, true
		}
	}
	return "", false
}

const languageCount = 6

// lineStart is a start of lines, with the languages that have it.
type lineStart struct {
	text string
	of   [languageCount]bool
}

// lineStarts are the starts of lines of all languages, by their first byte.
var lineStarts = func() (starts [256][]lineStart) {
	for i := range languages {
		for _, text := range languages[i].lines {
			list := starts[text[0]]
			at := slices.IndexFunc(list, func(s lineStart) bool { return s.text == text })
			if at < 0 {
				at = len(list)
				list = append(list, lineStart{text: text})
			}
			list[at].of[i] = true
			starts[text[0]] = list
		}
	}
	return starts
}()

// countLines counts the lines that begin as each language's do, and all that are
// neither empty nor comments.
func countLines(text []byte) (counts [languageCount]int, all int) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexAny(text, "\n\r"); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		line = bytes.TrimLeft(line, " \t\r\x00")
		if len(line) == 0 || line[0] == '#' || line[0] == '*' || line[0] == '\'' {
			continue
		}
		all++
		var of [languageCount]bool
		for _, s := range lineStarts[line[0]] {
			if len(line) < len(s.text) || string(line[:len(s.text)]) != s.text {
				continue
			}
			for i, is := range s.of {
				of[i] = of[i] || is
			}
		}
		for i, is := range of {
			if is {
				counts[i]++
			}
		}
	}
	return counts, all
}

func countWords(text []byte, words []string) (n int) {
	for _, w := range words {
		if bytes.Contains(text, []byte(w)) {
			n++
		}
	}
	return n
}
