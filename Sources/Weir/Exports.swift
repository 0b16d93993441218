@_exported public import WeirCore
@_exported public import WeirEncryption
@_exported public import WeirJSON
@_exported public import WeirNetwork
