@main struct WeirTool { static func main() {} }
