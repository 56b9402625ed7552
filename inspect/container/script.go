package container

import "bytes"

// A language is recognised by marks that are independent of each other: how
// lines begin, and words that hardly stand in any other text. A report may hold
// one of them; none holds enough.
type language struct {
	name  string
	lines []string // starts of lines
	words []string
	need  int // words that must be there, each counted once
}

// enoughLines is how many lines of a script must begin as its language's do.
const enoughLines = 2

// languages are those whose scripts an operating system runs when they are opened.
// Everything is in lower case.
var languages = []language{
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
		lines: []string{"#!", "if [", "for ", "while ", "do", "done", "fi", "then", "export ", "echo ", "cd ", "rm -", "curl ", "wget ", "chmod ", "sudo ", "case ", "esac", "}", "set -", "exec ", "mkdir ", "cp ", "nohup "},
		words: []string{
			"/bin/sh", "/bin/bash", "2>&1", ">/dev/null", "> /dev/null", "chmod +x", "chmod 7", "rm -rf ", "rm -f ", "/dev/tcp/", "$(", "curl -", "wget -", "nohup ",
			"| sh", "| bash", "; then", "; do", "\"$@\"", "\"$1\"", "$home", "crontab", "base64 -d", "set -e", "if [ ", "mkfifo ", "exec ", "/tmp/.",
		},
		need: 4,
	},
	{
		name:  "Python script",
		lines: []string{"import ", "from ", "def ", "class ", "if __name__", "try:", "except", "with open(", "for ", "print(", "exec(", "while ", "return", "#!", "os.", "subprocess."},
		words: []string{
			"import os", "import sys", "import subprocess", "import socket", "import base64", "import ctypes", "subprocess.", "os.system(", "os.popen(",
			"if __name__ ==", "exec(", "eval(", "b64decode(", "socket.socket(", "urllib.request", "requests.get(", "sys.argv", "__import__(", "ctypes.", "os.path.",
			"pty.spawn(", "shutil.", "zlib.decompress(", "marshal.loads(",
		},
		need: 4,
	},
}

// scriptText names the language that text, in lower case, is a script in.
func scriptText(text []byte) (string, bool) {
	for i := range languages {
		lg := &languages[i]
		if countLines(text, lg.lines) >= enoughLines && countWords(text, lg.words) >= lg.need {
			return lg.name, true
		}
	}
	return "", false
}

// countLines counts lines that begin with one of starts, up to enoughLines.
func countLines(text []byte, starts []string) (n int) {
	for len(text) > 0 && n < enoughLines {
		text = bytes.TrimLeft(text, " \t\r\n\x00")
		for _, s := range starts {
			if len(text) >= len(s) && string(text[:len(s)]) == s {
				n++
				break
			}
		}
		i := bytes.IndexAny(text, "\r\n")
		if i < 0 {
			break
		}
		text = text[i:]
	}
	return n
}

func countWords(text []byte, words []string) (n int) {
	for _, w := range words {
		if bytes.Contains(text, []byte(w)) {
			n++
		}
	}
	return n
}
