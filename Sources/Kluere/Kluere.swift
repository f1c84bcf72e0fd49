// Link-only target of the dynamic product libkluere.so; the code is in KluereABI.
