package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	url := os.Args[1] + "/v1/publish?topic=orders/42/status"
	answer, err := http.Post(url, "application/json", strings.NewReader(`{"state":"picked-up"}`))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.Status, string(body))
	if answer.StatusCode != http.StatusOK {
		os.Exit(1)
	}
}
