import CLICommands
import Glibc

@main
struct Martlet {
    static func main() {
        exit(MartletProgram.run(Array(CommandLine.arguments.dropFirst())))
    }
}
