package main

import "fmt"

// counted writes a number with what it counts: "1 host", "2 hosts".
func counted[T int | uint64](n T, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// waits says how many wait: "1 notification waits", "2 notifications wait".
func waits(n uint64, what string) string {
	if n == 1 {
		return "1 " + what + " waits"
	}
	return counted(n, what) + " wait"
}

// are is the beginning of a sentence: "1 host is", "2 hosts are".
func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return counted(n, what) + " are"
}

// tries says how often something was tried.
func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// processes says how many processes there are.
func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}
