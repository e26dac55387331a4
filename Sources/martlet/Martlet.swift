import CLICommands

@main
struct Martlet {
    static func main() {
    }
}
